//! The engine: settings of wasmtime, and runs on live instances.

use crate::{
    instance::{INSTANCE_BYTES, Live},
    modules::{Beside, Modules},
    parked::{Parked, Suspended},
    pool::Pool,
    slot::{SLOT_BYTES, Slots, TAIL_GUARD_BYTES},
    stack::{WASM_STACK_BYTES, on_big_stack},
    tracker::{Tracker, Tracking},
    validate::{self, FEATURES},
    watchdog::{Watchdog, Work},
};
use mains_execution::engine::{COPIED_PAGE_INSTRUCTIONS, Engine, ModuleError, ModuleInfo, Ran, Run, Trap};
use mains_state::{Heap, RunName};
use mains_types::{
    Digest32,
    limits::{AWAKE_BYTES_MAX, AWAKE_CANISTERS_MAX, SLICE_INSTRUCTIONS},
};
use serde_bytes::ByteBuf;
use std::{path::PathBuf, sync::Arc};
use wasmparser::WasmFeatures;
use wasmtime::{Config, OptLevel, Strategy};

/// Live instances kept for runs that all replicas make, and the bytes of their memories: a heap is in the state once more. What is
/// awake by the state is among them, for they leave in the order in which they ran.
const UPDATE_INSTANCES_MAX: usize = 500;
const UPDATE_BYTES_MAX: u64 = AWAKE_BYTES_MAX + UPDATE_INSTANCES_MAX as u64 * INSTANCE_BYTES;
const _: () = assert!(UPDATE_INSTANCES_MAX > AWAKE_CANISTERS_MAX);
/// Live instances kept for queries, and the bytes of their memories.
const QUERY_INSTANCES_MAX: usize = 200;
const QUERY_BYTES_MAX: u64 = 1 << 30;

/// What modules are compiled to. Results are the same with either, or one of them is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Machine code of this host.
    Native,
    /// Bytecode of wasmtime's interpreter, the same on every host: some ten times slower, made to compare with.
    Pulley,
}

/// Instructions (some 50 ms) that a run may use before it is done again on a thread of its own, on which it can wait.
const SHORT_INSTRUCTIONS: u64 = 100_000_000;

/// The host cannot run Wasm.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The Wasm engine could not be set up, or its directory not be made.
    #[error("the Wasm engine cannot start: {0}")]
    Start(String),
    /// That way of noticing writes does not work on this host.
    #[error("writes to memory cannot be tracked this way: {0}")]
    Tracking(#[from] std::io::Error),
}

/// Runs canisters with wasmtime. May be used by several threads at once; threads with less than
/// [`HOST_STACK_BYTES`](crate::HOST_STACK_BYTES) of stack are served on another one.
pub struct WasmtimeEngine {
    modules: Arc<Modules>,
    beside: Beside,
    watchdog: Arc<Watchdog>,
    tracker: Arc<Tracker>,
    updates: Arc<Pool>,
    queries: Arc<Pool>,
    parked: Parked,
}

impl WasmtimeEngine {
    /// An engine that keeps compiled modules in `directory`, if there is one; the directory must belong to this node alone.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn new(directory: Option<PathBuf>) -> Result<Self, EngineError> {
        Self::start(directory, Tracker::detect(), Target::Native)
    }

    /// Like [`WasmtimeEngine::new`], with this way of noticing writes. Results are the same with every way.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn with_tracking(directory: Option<PathBuf>, tracking: Tracking) -> Result<Self, EngineError> {
        Self::start(directory, Tracker::new(tracking)?, Target::Native)
    }

    /// Like [`WasmtimeEngine::new`], with modules compiled to that.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn with_target(directory: Option<PathBuf>, target: Target) -> Result<Self, EngineError> {
        Self::start(directory, Tracker::detect(), target)
    }

    fn start(directory: Option<PathBuf>, tracker: Tracker, target: Target) -> Result<Self, EngineError> {
        let failed = |error: wasmtime::Error| EngineError::Start(format!("{error:#}"));
        let tracker = Arc::new(tracker);
        let config = config(&tracker, target).map_err(failed)?;
        let engine = wasmtime::Engine::new(&config).map_err(failed)?;
        let watchdog = Arc::new(Watchdog::new());
        let modules = Arc::new(Modules::new(engine, directory, watchdog.clone()).map_err(failed)?);
        let beside = Beside::new().map_err(|error| EngineError::Start(error.to_string()))?;
        tracing::info!(tracking = ?tracker.tracking(), "the Wasm engine is ready");
        Ok(Self {
            modules,
            beside,
            watchdog,
            tracker,
            updates: Arc::new(Pool::new(UPDATE_INSTANCES_MAX, UPDATE_BYTES_MAX, AWAKE_CANISTERS_MAX)),
            queries: Arc::new(Pool::new(QUERY_INSTANCES_MAX, QUERY_BYTES_MAX, 0)),
            parked: Parked::default(),
        })
    }

    /// How writes to memory are noticed.
    pub fn tracking(&self) -> Tracking {
        self.tracker.tracking()
    }

    /// An instance for a run, and where it goes afterwards.
    fn live(&self, run: &Run<'_>) -> (Live, Arc<Pool>) {
        let Run { canister, code, api, .. } = run;
        let module = self.modules.installed(&code.wasm);
        // Apart, so that a query on an older version never takes the instance that the next update needs.
        let pool = if api.is_replicated() { &self.updates } else { &self.queries };
        let live = pool.take(canister, &module, &code.heap).unwrap_or_else(|| {
            Live::new(module.clone(), self.tracker.clone())
                .unwrap_or_else(|trap| panic!("an installed module cannot be instantiated: {trap:?}"))
        });
        (live, pool.clone())
    }

    fn run_here(&self, run: Run<'_>) -> Ran {
        let (mut live, pool) = self.live(&run);
        let Run { canister, code, entry, api, instructions, waking, commit } = run;
        live.become_heap(&code.heap);
        let ran = live.run(&entry, api, instructions.saturating_sub(waking), commit);
        if live.fits(ran.heap.bytes) {
            pool.put(canister, live);
        }
        after(waking, ran)
    }

    /// Runs it if that takes few instructions and no more than `allowance`; else hands it back.
    fn run_short<'a>(&self, run: Run<'a>, allowance: u64) -> Result<Ran, Box<Run<'a>>> {
        let (mut live, pool) = self.live(&run);
        let Run { canister, code, entry, api, instructions, waking, commit } = run;
        live.become_heap(&code.heap);
        let (left, allowance) = (instructions.saturating_sub(waking), allowance.saturating_sub(waking));
        let (ran, is_stopped) = live.run_within(&entry, api, left, commit, allowance.min(SHORT_INSTRUCTIONS), None);
        if live.fits(ran.heap.bytes) {
            pool.put(canister, live);
        }
        if is_stopped {
            let api = ran.api.restarted();
            return Err(Box::new(Run { canister, code, entry, api, instructions, waking, commit }));
        }
        Ok(after(waking, ran))
    }

    /// A run that can wait in its middle.
    fn suspended(&self, run: Run<'_>) -> Box<Suspended> {
        let (mut live, pool) = self.live(&run);
        let Run { canister, code, entry, api, instructions, waking, commit } = run;
        let heap = code.heap.clone();
        Suspended::start(move |mut allowance, mut pause| {
            // As many pages in a slice as are paid for; those of a canister that is awake, but not here, at once.
            let is_awake = live.become_heap_while(&heap, &mut |pages| {
                let used = pages.saturating_mul(COPIED_PAGE_INSTRUCTIONS).min(waking);
                while used > allowance {
                    let Some(more) = pause.wait(heap.bytes) else { return false };
                    allowance = more;
                }
                true
            });
            let allowance = pause.begin_after(waking, allowance, heap.bytes).filter(|_| is_awake)?;
            let left = instructions.saturating_sub(waking);
            let (ran, is_stopped) = live.run_within(&entry, api, left, commit, allowance, Some(pause));
            if live.fits(ran.heap.bytes) {
                pool.put(canister, live);
            }
            (!is_stopped).then(|| after(waking, ran))
        })
    }

    /// Whether an instance of the canister waits for its next message.
    #[cfg(test)]
    pub(crate) fn has_awake(&self, canister: &mains_types::CanisterId) -> bool {
        self.updates.has(canister)
    }

    /// Whether a module can be had without compiling it.
    #[cfg(test)]
    pub(crate) fn is_ready(&self, id: &Digest32) -> bool {
        self.modules.is_ready(id)
    }

    /// Forgets every suspended run, as a restart would; tells how many there were.
    #[cfg(test)]
    pub(crate) fn forget_suspended(&self) -> usize {
        self.parked.clear()
    }
}

impl Engine for WasmtimeEngine {
    fn inspect(&self, wasm: &[u8]) -> Result<Arc<ModuleInfo>, ModuleError> {
        // What was installed before was found valid before.
        self.modules.known(wasm).map_or_else(|| validate::validate(wasm).map(Arc::new), Ok)
    }

    fn module(&self, wasm: &[u8]) -> Result<Arc<ModuleInfo>, ModuleError> {
        Ok(self.modules.get(wasm)?.info.clone())
    }

    fn prepare(&self, id: &Digest32, wasm: &Arc<ByteBuf>) {
        self.beside.hint(&self.modules, id, wasm);
    }

    fn hold(&self, modules: &[Arc<ByteBuf>], progress: &dyn Fn(usize, usize)) {
        self.modules.hold(modules, progress);
    }

    /// # Panics
    /// If the module is not valid: ask [`Engine::module`] first.
    fn instantiate(&self, wasm: &[u8]) -> Result<Heap, Trap> {
        let module = self.modules.get(wasm).unwrap_or_else(|error| panic!("instantiates a module that {error}"));
        module.fresh(wasm, &self.tracker)
    }

    fn run(&self, run: Run<'_>) -> Ran {
        let _watch = self.watchdog.watch(Work::Run(run.canister));
        on_big_stack(|| self.run_here(run))
    }

    fn advance(&self, run: Run<'_>, name: &RunName, allowance: u64) -> Option<Ran> {
        let (canister, waking) = (run.canister, run.waking);
        let _watch = self.watchdog.watch(Work::Run(canister));
        let suspended = match self.parked.take(&canister, name) {
            Some(suspended) => suspended,
            // What is in its second slice is known to be long.
            None if allowance > SLICE_INSTRUCTIONS || self.parked.expects_long(&canister) => self.suspended(run),
            None if waking >= allowance || is_large(&run.code.heap) => self.suspended(run),
            None => match on_big_stack(|| self.run_short(run, allowance)) {
                Ok(ran) => return (ran.instructions <= allowance).then_some(ran),
                Err(run) => self.suspended(*run),
            },
        };
        match suspended.resume(allowance) {
            Ok(ran) => {
                self.parked.note(canister, ran.instructions - waking > SHORT_INSTRUCTIONS);
                Some(ran)
            }
            Err(suspended) => {
                self.parked.note(canister, true);
                self.parked.put(canister, *name, allowance, suspended);
                None
            }
        }
    }
}

/// Whether copying a heap again takes longer than a thread. A short run that grew memory is done again from its beginning on a
/// fresh instance; one that can wait is not.
fn is_large(heap: &Heap) -> bool {
    heap.pages.len().saturating_mul(COPIED_PAGE_INSTRUCTIONS) > SHORT_INSTRUCTIONS
}

/// A run that began when its canister had been woken.
fn after(waking: u64, ran: Ran) -> Ran {
    Ran { instructions: ran.instructions.saturating_add(waking), ..ran }
}

/// Every setting that could show, explicitly: defaults move between versions.
fn config(tracker: &Arc<Tracker>, target: Target) -> wasmtime::Result<Config> {
    let mut config = Config::new();
    // The interpreter checks bounds itself; machine code has the memory's guards.
    let (signals, guard_bytes) = match target {
        Target::Native => (true, TAIL_GUARD_BYTES as u64),
        Target::Pulley => {
            config.target(if cfg!(target_endian = "big") { "pulley64be" } else { "pulley64" })?;
            (false, 0)
        }
    };
    config
        .wasm_features(WasmFeatures::all(), false)
        .wasm_features(FEATURES, true)
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(OptLevel::Speed)
        // The instrumentation does both, in a way that does not depend on the engine.
        .cranelift_nan_canonicalization(false)
        .consume_fuel(false)
        .epoch_interruption(false)
        .parallel_compilation(true)
        .signals_based_traps(signals)
        .native_unwind_info(false)
        .generate_address_map(false)
        .wasm_backtrace_max_frames(None)
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(WASM_STACK_BYTES)
        .with_host_memory(Arc::new(Slots { tracker: tracker.clone() }))
        .memory_reservation(SLOT_BYTES as u64)
        .memory_reservation_for_growth(0)
        .memory_guard_size(guard_bytes)
        .guard_before_linear_memory(true)
        .memory_may_move(false)
        .memory_init_cow(false)
        .table_lazy_init(true);
    Ok(config)
}
