//! Modules that are ready to run: validated, instrumented, compiled; kept by content, so that equal modules share.
//!
//! What some state holds ([`Modules::hold`]) stays on disk for as long as anybody has the state, so that it is compiled once;
//! `modules/kept.rs` knows what is held and what is in memory, `modules/disk.rs` has the files.

mod beside;
mod disk;
mod facts;
mod kept;

use crate::{
    host::{self, Host},
    instance::Live,
    instrument::{self, Instrumented},
    tracker::Tracker,
    validate,
    watchdog::{Watchdog, Work},
};
pub(crate) use beside::Beside;
use disk::Disk;
use facts::Facts;
use kept::Kept;
use mains_execution::engine::{Entry, ModuleError, ModuleInfo, Trap};
use mains_state::{Heap, PageTree};
use mains_types::Digest32;
use serde_bytes::ByteBuf;
use std::{
    ops::Range,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};
use wasmtime::{Engine, InstancePre, Linker};

/// Bytes of files of modules that no state holds: they may come back.
const UNHELD_BYTES_MAX: u64 = 4 << 30;

/// A module that is ready to run.
pub(crate) struct Module {
    /// What execution learns about it.
    pub(crate) info: Arc<ModuleInfo>,
    /// Makes instances.
    pub(crate) pre: InstancePre<Host>,
    /// Indices of its mutable globals.
    pub(crate) globals: Vec<u32>,
    /// Its active data segments: where they go in memory, and where in the module they are.
    data: Vec<(u64, Range<usize>)>,
    /// BLAKE3 of the rewritten module.
    rewritten: Digest32,
    fresh: OnceLock<Result<Heap, Trap>>,
    /// Memories as they were after the start function and after `canister_init`, when they first ran.
    started: OnceLock<PageTree>,
    initialized: OnceLock<PageTree>,
}

impl Module {
    /// The memory that canisters with this module are likely to have, by and large, after `entry`.
    pub(crate) fn image(&self, entry: &Entry) -> Option<&OnceLock<PageTree>> {
        match entry {
            Entry::Start => Some(&self.started),
            Entry::Export(name) if name == "canister_init" || name == "canister_post_upgrade" => {
                Some(&self.initialized)
            }
            _ => None,
        }
    }

    /// The heap of a fresh instance; made once, so that all canisters with this module, `wasm`, share its pages.
    ///
    /// # Errors
    /// A segment that does not fit.
    pub(crate) fn fresh(self: &Arc<Self>, wasm: &[u8], tracker: &Arc<Tracker>) -> Result<Heap, Trap> {
        let make = || {
            let mut heap = Live::new(self.clone(), tracker.clone())?.into_heap();
            heap.pages = PageTree::default();
            for (offset, range) in &self.data {
                match offset.checked_add(range.len() as u64) {
                    Some(end) if end <= heap.bytes => heap.pages.write(*offset, &wasm[range.clone()]),
                    _ => return Err(Trap::HeapOutOfBounds),
                }
            }
            Ok(heap)
        };
        self.fresh.get_or_init(make).clone()
    }
}

/// All modules.
pub(crate) struct Modules {
    engine: Engine,
    /// For modules with 32-bit and with 64-bit memory.
    linkers: [Linker<Host>; 2],
    disk: Option<Disk>,
    watchdog: Arc<Watchdog>,
    kept: Mutex<Kept>,
}

impl Modules {
    /// Keeps what modules are compiled to in `directory` too, if there is one.
    ///
    /// # Errors
    /// The directory cannot be made, or the system interface cannot be defined.
    pub(crate) fn new(engine: Engine, directory: Option<PathBuf>, watchdog: Arc<Watchdog>) -> wasmtime::Result<Self> {
        let mut linkers = [Linker::new(&engine), Linker::new(&engine)];
        host::link::<u32>(&mut linkers[0])?;
        host::link::<u64>(&mut linkers[1])?;
        let disk = directory.map(|directory| Disk::open(directory, &engine, UNHELD_BYTES_MAX)).transpose()?;
        Ok(Self { engine, linkers, disk, watchdog, kept: Mutex::default() })
    }

    /// The module with these bytes.
    ///
    /// # Errors
    /// The rule that they break; nothing is kept then.
    pub(crate) fn get(&self, wasm: &[u8]) -> Result<Arc<Module>, ModuleError> {
        self.with_id(*blake3::hash(wasm).as_bytes(), wasm)
    }

    /// What execution learns about the module with these bytes, if it was made ready before.
    pub(crate) fn known(&self, wasm: &[u8]) -> Option<Arc<ModuleInfo>> {
        let id = *blake3::hash(wasm).as_bytes();
        let cell = self.kept().ready(&id);
        match cell.as_ref().and_then(|cell| cell.get()) {
            Some(outcome) => outcome.as_ref().ok().map(|module| module.info.clone()),
            None => self.disk.as_ref()?.facts(&id).map(|facts| facts.info),
        }
    }

    /// Whether the module with this id is in memory.
    pub(crate) fn is_ready(&self, id: &Digest32) -> bool {
        self.kept().ready(id).is_some_and(|cell| cell.get().is_some())
    }

    /// Makes these modules of a state ready, and keeps their files for as long as anybody has these very bytes. Tells `progress` how many
    /// of how many had to be compiled and are.
    ///
    /// # Panics
    /// If one is not valid: it was when it came into the state.
    pub(crate) fn hold(&self, modules: &[Arc<ByteBuf>], progress: &dyn Fn(usize, usize)) {
        // All are known to be held before the first file is written, which may put out those that are not.
        let ids: Vec<_> = modules.iter().map(|wasm| self.id_of(wasm)).collect();
        let is_missing = |id: &Digest32| match &self.disk {
            Some(disk) => !disk.has(id),
            None => !self.is_ready(id),
        };
        let missing: Vec<_> = modules.iter().zip(ids).filter(|(_, id)| is_missing(id)).collect();
        for (done, (wasm, id)) in missing.iter().enumerate() {
            progress(done, missing.len());
            let module = self.with_id(*id, wasm).unwrap_or_else(|error| panic!("a module of the state {error}"));
            self.keep(id, &module);
        }
    }

    /// The module of an installed canister.
    ///
    /// # Panics
    /// If it is not valid: it was when it was installed.
    pub(crate) fn installed(&self, wasm: &Arc<ByteBuf>) -> Arc<Module> {
        let id = self.id_of(wasm);
        self.with_id(id, wasm).unwrap_or_else(|error| panic!("an installed module {error}"))
    }

    /// The id of a module that a state holds, which is so known to be held.
    fn id_of(&self, wasm: &Arc<ByteBuf>) -> Digest32 {
        let known = self.kept().id_at(wasm);
        known.unwrap_or_else(|| {
            let id = *blake3::hash(wasm).as_bytes();
            self.kept().remember(wasm, id);
            id
        })
    }

    fn with_id(&self, id: Digest32, wasm: &[u8]) -> Result<Arc<Module>, ModuleError> {
        let cell = self.kept().cell(id);
        let outcome = cell.get_or_init(|| self.prepare(&id, wasm)).clone();
        if outcome.is_err() {
            self.kept().forget(&id);
        }
        outcome
    }

    fn prepare(&self, id: &Digest32, wasm: &[u8]) -> Result<Arc<Module>, ModuleError> {
        if let Some(disk) = &self.disk
            && let Some(facts) = disk.facts(id)
            && let Some(code) = disk.code(&self.engine, id, &facts.rewritten)
        {
            return Ok(self.link(facts, &code));
        }
        let info = Arc::new(validate::validate(wasm)?);
        let Instrumented { wasm: rewritten, data, globals } =
            instrument::instrument(wasm).map_err(|error| ModuleError { rule: error.to_string(), offset: None })?;
        let facts = Facts { info, rewritten: *blake3::hash(&rewritten).as_bytes(), globals, data };
        let compiled = self.disk.as_ref().and_then(|disk| disk.code(&self.engine, id, &facts.rewritten));
        let code = compiled.unwrap_or_else(|| self.compile(id, &rewritten));
        let module = self.link(facts, &code);
        self.keep(id, &module);
        Ok(module)
    }

    /// Writes what is missing of a module's files.
    fn keep(&self, id: &Digest32, module: &Module) {
        let Some(disk) = &self.disk else { return };
        if disk.has(id) {
            return;
        }
        let Module { info, rewritten, globals, data, .. } = module;
        let held = self.kept().held();
        disk.keep_code(id, rewritten, module.pre.module(), &held);
        let (info, globals, data) = (info.clone(), globals.clone(), data.clone());
        disk.keep_facts(id, &Facts { info, rewritten: *rewritten, globals, data });
    }

    fn link(&self, facts: Facts, code: &wasmtime::Module) -> Arc<Module> {
        let Facts { info, rewritten, globals, data } = facts;
        let linker = &self.linkers[usize::from(info.memory64)];
        let pre = linker.instantiate_pre(code).unwrap_or_else(|error| panic!("a valid module's imports: {error:?}"));
        Arc::new(Module {
            info,
            pre,
            globals,
            data,
            rewritten,
            fresh: OnceLock::new(),
            started: OnceLock::new(),
            initialized: OnceLock::new(),
        })
    }

    /// # Panics
    /// If the compiler fails. Validation keeps modules within its bounds, which differ between hosts and must decide nothing.
    fn compile(&self, id: &Digest32, rewritten: &[u8]) -> wasmtime::Module {
        let _watch = self.watchdog.watch(Work::Compile(*id));
        wasmtime::Module::from_binary(&self.engine, rewritten)
            .unwrap_or_else(|error| panic!("the Wasm engine cannot compile a valid module: {error:#}"))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Every change of the maps is complete before anything can panic.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
