//! Modules that are ready to run: validated, instrumented, compiled; kept by content, so that equal modules share.

mod beside;
mod disk;

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
use mains_execution::engine::{Entry, ModuleError, ModuleInfo, Trap};
use mains_state::{Heap, PageTree};
use mains_types::Digest32;
use serde_bytes::ByteBuf;
use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
};
use wasmtime::{Engine, InstancePre, Linker};

/// Modules kept in memory (a big one is about 5 MB of machine code); the disk has the rest.
const MODULES_MAX: usize = 512;
/// Bytes of compiled modules kept on disk.
const DISK_BYTES_MAX: u64 = 4 << 30;
/// Addresses of modules' bytes kept with their ids; about 100 bytes each.
const ADDRESSES_MAX: usize = 1 << 17;

/// A module that is ready to run.
pub(crate) struct Module {
    /// What execution learns about it.
    pub(crate) info: Arc<ModuleInfo>,
    /// Makes instances.
    pub(crate) pre: InstancePre<Host>,
    /// Indices of its mutable globals.
    pub(crate) globals: Vec<u32>,
    /// Its active data segments.
    data: Vec<(u64, Vec<u8>)>,
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

    /// The heap of a fresh instance; made once, so that all canisters with this module share its pages.
    ///
    /// # Errors
    /// A segment that does not fit.
    pub(crate) fn fresh(self: &Arc<Self>, tracker: &Arc<Tracker>) -> Result<Heap, Trap> {
        let make = || {
            let mut heap = Live::new(self.clone(), tracker.clone())?.into_heap();
            heap.pages = PageTree::default();
            for (offset, bytes) in &self.data {
                match offset.checked_add(bytes.len() as u64) {
                    Some(end) if end <= heap.bytes => heap.pages.write(*offset, bytes),
                    _ => return Err(Trap::HeapOutOfBounds),
                }
            }
            Ok(heap)
        };
        self.fresh.get_or_init(make).clone()
    }
}

/// A cell that is filled by whoever needs a module first while others wait.
type Cell = Arc<OnceLock<Result<Arc<Module>, ModuleError>>>;

#[derive(Default)]
struct Kept {
    by_id: HashMap<Digest32, (u64, Cell)>,
    /// Ids by address of the bytes in the state, so as not to hash them for every message. The weak reference keeps the
    /// address from being used again.
    by_address: HashMap<usize, (Weak<ByteBuf>, Digest32)>,
    clock: u64,
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
    /// Keeps compiled modules in `directory` too, if there is one.
    ///
    /// # Errors
    /// The directory cannot be made, or the system interface cannot be defined.
    pub(crate) fn new(engine: Engine, directory: Option<PathBuf>, watchdog: Arc<Watchdog>) -> wasmtime::Result<Self> {
        let mut linkers = [Linker::new(&engine), Linker::new(&engine)];
        host::link::<u32>(&mut linkers[0])?;
        host::link::<u64>(&mut linkers[1])?;
        let disk = directory.map(|directory| Disk::open(directory, &engine, DISK_BYTES_MAX)).transpose()?;
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
        let cell = self.kept().by_id.get(blake3::hash(wasm).as_bytes())?.1.clone();
        let module = cell.get()?.as_ref().ok()?;
        Some(module.info.clone())
    }

    /// Whether the module with this id can be had without compiling it.
    pub(crate) fn is_ready(&self, id: &Digest32) -> bool {
        self.kept().by_id.get(id).is_some_and(|(_, cell)| cell.get().is_some())
    }

    /// The module of an installed canister.
    ///
    /// # Panics
    /// If it is not valid: it was when it was installed.
    pub(crate) fn installed(&self, wasm: &Arc<ByteBuf>) -> Arc<Module> {
        let address = Arc::as_ptr(wasm) as usize;
        let known = self.kept().by_address.get(&address).map(|(_, id)| *id);
        let id = known.unwrap_or_else(|| {
            let id = *blake3::hash(wasm).as_bytes();
            self.kept().remember(address, Arc::downgrade(wasm), id);
            id
        });
        self.with_id(id, wasm).unwrap_or_else(|error| panic!("an installed module {error}"))
    }

    fn with_id(&self, id: Digest32, wasm: &[u8]) -> Result<Arc<Module>, ModuleError> {
        let cell = self.kept().cell(id);
        let outcome = cell.get_or_init(|| self.prepare(wasm)).clone();
        if outcome.is_err() {
            self.kept().by_id.remove(&id);
        }
        outcome
    }

    fn prepare(&self, wasm: &[u8]) -> Result<Arc<Module>, ModuleError> {
        let info = validate::validate(wasm)?;
        let Instrumented { wasm: instrumented, data, globals } =
            instrument::instrument(wasm).map_err(|error| ModuleError { rule: error.to_string(), offset: None })?;
        let compiled = match &self.disk {
            Some(disk) => {
                let rewritten = blake3::hash(&instrumented);
                disk.get(&self.engine, rewritten.as_bytes(), || self.compile(&info, &instrumented))
            }
            None => self.compile(&info, &instrumented),
        };
        let linker = &self.linkers[usize::from(info.memory64)];
        let pre =
            linker.instantiate_pre(&compiled).unwrap_or_else(|error| panic!("a valid module's imports: {error:?}"));
        let data = data.into_iter().map(|(offset, range)| (offset, wasm[range].to_vec())).collect();
        Ok(Arc::new(Module {
            info: Arc::new(info),
            pre,
            globals,
            data,
            fresh: OnceLock::new(),
            started: OnceLock::new(),
            initialized: OnceLock::new(),
        }))
    }

    /// # Panics
    /// If the compiler fails. Validation keeps modules within its bounds, which differ between hosts and must decide nothing.
    fn compile(&self, info: &ModuleInfo, instrumented: &[u8]) -> wasmtime::Module {
        let _watch = self.watchdog.watch(Work::Compile(info.id));
        wasmtime::Module::from_binary(&self.engine, instrumented)
            .unwrap_or_else(|error| panic!("the Wasm engine cannot compile a valid module: {error:#}"))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Every change of the maps is complete before anything can panic.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn cell(&mut self, id: Digest32) -> Cell {
        self.clock += 1;
        let clock = self.clock;
        if self.by_id.len() >= MODULES_MAX && !self.by_id.contains_key(&id) {
            let oldest = self.by_id.iter().min_by_key(|(_, (used, _))| *used).map(|(id, _)| *id);
            self.by_id.remove(&oldest.unwrap_or_default());
        }
        let (used, cell) = self.by_id.entry(id).or_default();
        *used = clock;
        cell.clone()
    }
    fn remember(&mut self, address: usize, bytes: Weak<ByteBuf>, id: Digest32) {
        if self.by_address.len() >= ADDRESSES_MAX {
            self.by_address.retain(|_, (bytes, _)| bytes.strong_count() > 0);
        }
        if self.by_address.len() >= ADDRESSES_MAX {
            self.by_address.clear();
        }
        self.by_address.insert(address, (bytes, id));
    }
}
