//! The Wasm host as execution sees it. Implemented by `mains-engine`; a run is a pure function of its arguments.
//!
//! The host keeps compiled modules and live instances as caches only: a run on a live instance and one on a fresh
//! instance give the same result. Its own errors (out of memory, unknown traps) panic: they must stop the replica and
//! never become replicated state.

use crate::system_api::SystemApi;
use mains_state::{Code, Continuation, Heap, RunName};
use mains_types::{CanisterId, Digest32};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Why a module is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rule}{}", offset.map(|at| format!(" (at offset {at:#x})")).unwrap_or_default())]
pub struct ModuleError {
    /// The rule it breaks, in our words, e.g. `imports unknown function ic0.foo`.
    pub rule: String,
    /// Where in the module, if known.
    pub offset: Option<u64>,
}

/// Who may read a custom section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SectionVisibility {
    /// Everybody (`icp:public NAME`).
    Public,
    /// Controllers (`icp:private NAME`).
    Private,
}

/// The type of a global that a snapshot has a value for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GlobalType {
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
    /// 32-bit float.
    F32,
    /// 64-bit float.
    F64,
    /// 128-bit vector.
    V128,
}

/// A global that is mutable or exported: what snapshots hold values of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GlobalInfo {
    /// Its type.
    pub ty: GlobalType,
    /// The value of one that cannot change, as raw bits. The others' are in [`Heap::globals`].
    pub constant: Option<u128>,
}

/// What the host found out about a valid module.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModuleInfo {
    /// BLAKE3 of the module's bytes: the host's name for it.
    pub id: Digest32,
    /// Update methods.
    pub updates: BTreeSet<String>,
    /// Query methods.
    pub queries: BTreeSet<String>,
    /// Composite query methods.
    pub composite_queries: BTreeSet<String>,
    /// Entry points without a method name: `canister_init`, `canister_pre_upgrade`, `canister_post_upgrade`,
    /// `canister_inspect_message`, `canister_heartbeat`, `canister_global_timer`, `canister_on_low_wasm_memory`.
    pub hooks: BTreeSet<String>,
    /// Whether there is a start function (run it with [`Entry::Start`] after [`Engine::instantiate`]).
    pub has_start: bool,
    /// Whether the memory is 64 bit.
    pub memory64: bool,
    /// Bytes that the memory may grow to; 0 if there is none.
    pub memory_bytes_max: u64,
    /// The mutable and the exported globals, in the order of their indices.
    pub globals: Vec<GlobalInfo>,
    /// Whether it has an `enhanced-orthogonal-persistence` section: upgrades must say what becomes of the heap.
    pub orthogonal_persistence: bool,
    /// `icp:` custom sections by name.
    pub sections: BTreeMap<String, (SectionVisibility, Vec<u8>)>,
    /// What compiling it costs, in instructions: a function of its bytes only.
    pub compile_instructions: u64,
}

/// Where a run begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// An exported function without parameters or results, by its whole name, e.g. `canister_update inc`.
    Export(String),
    /// A function of the table with one parameter.
    Callback(Continuation),
    /// The start function.
    Start,
}

/// Why a run ended without success. Our own kinds, equal on every engine and host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trap {
    /// More instructions than the limit.
    OutOfInstructions,
    /// The metered stack is used up.
    StackOverflow,
    /// A load or store outside the heap.
    HeapOutOfBounds,
    /// A table access outside the table.
    TableOutOfBounds,
    /// `unreachable`.
    Unreachable,
    /// Integer division by zero.
    DivisionByZero,
    /// Integer overflow, or a float that does not fit an integer.
    IntegerOverflow,
    /// `call_indirect` to a null or wrongly typed function.
    IndirectCall,
    /// `ic0.trap` with this text.
    Called(String),
    /// A rule of the system interface was broken; the text says which.
    Contract(String),
    /// Memory beyond the canister's limit was needed.
    OutOfMemory,
    /// The heap would be larger than the canister's settings allow.
    HeapLimit {
        /// Bytes it would have.
        bytes: u64,
        /// The setting.
        limit: u64,
    },
    /// The function reference of a callback is not there or has another type.
    FunctionNotFound(u64),
}

/// One run.
pub struct Run<'a> {
    /// Whose (names a live instance).
    pub canister: CanisterId,
    /// The module's bytes and the memories before the run.
    pub code: &'a Code,
    /// Where it begins.
    pub entry: Entry,
    /// What system calls see and collect.
    pub api: SystemApi,
    /// Most instructions it may use.
    pub instructions: u64,
    /// Instructions of these that waking the canister takes before the run begins ([`COPIED_PAGE_INSTRUCTIONS`] for each page of
    /// its heap); 0 if all replicas have its heap in a live instance. What a replica really has decides nothing.
    pub waking: u64,
    /// Whether the heap after the run is wanted; queries pass `false`.
    pub commit: bool,
}

/// What a run left behind.
pub struct Ran {
    /// What system calls collected. Meaningful after a trap too (log lines).
    pub api: SystemApi,
    /// Success, or why not.
    pub outcome: Result<(), Trap>,
    /// Instructions used, at most the limit; those for waking and for changed pages ([`HEAP_PAGE_INSTRUCTIONS`]) included.
    pub instructions: u64,
    /// The heap after a successful run with `commit`; otherwise the one before.
    pub heap: Heap,
}

/// Instructions for each page of 4 KiB whose content is another after a run than before it: noticing the write, comparing, keeping
/// or undoing it, and its hash (about 10 us together). Counted when the run ends, so the canister's own counter does not show it; of runs
/// that all replicas make, whatever becomes of them. After a trap the last page of the heap does not count.
pub const HEAP_PAGE_INSTRUCTIONS: u64 = 10_000;

/// Instructions for each page of a heap that is copied into a live instance (3 to 7 us): of a canister that is woken, or whose run
/// grew memory and keeps nothing, for memories do not shrink and so its instance is of no more use. Of runs that all replicas make.
pub const COPIED_PAGE_INSTRUCTIONS: u64 = 4_000;

/// Instructions of a module that no canister has yet and that is compiled in the round of its call, apart from its bytes and from
/// that: files, cache, its first instance (about 2 ms).
pub const MODULE_INSTRUCTIONS: u64 = 5_000_000;

/// Instructions that looking at a module costs for each of its bytes, whether it is accepted or not; compiling comes on top.
pub const INSPECT_INSTRUCTIONS_PER_BYTE: u64 = 20;

/// The Wasm host.
pub trait Engine: Send + Sync + 'static {
    /// Validates a module without compiling it: so that its price is known, and charged, before the work begins.
    ///
    /// # Errors
    /// The rule that the module breaks.
    fn inspect(&self, wasm: &[u8]) -> Result<Arc<ModuleInfo>, ModuleError> {
        self.module(wasm)
    }

    /// Validates, instruments and compiles a module, or answers from a cache.
    ///
    /// # Errors
    /// The rule that the module breaks; nothing is kept of it.
    fn module(&self, wasm: &[u8]) -> Result<Arc<ModuleInfo>, ModuleError>;

    /// A hint that the module with this BLAKE3 will be asked for in some rounds: a host may compile it meanwhile, beside what it is
    /// asked to do. Given again with every block until then, oldest first. Nothing follows from it but time.
    fn prepare(&self, _id: &Digest32, _wasm: &Arc<ByteBuf>) {}

    /// These modules are in a state from now on: they are made ready, and stay so, without ever being compiled again, for as long as
    /// anybody has these very bytes. `progress` hears how many of how many had to be compiled and are. Nothing follows from it but time.
    ///
    /// # Panics
    /// If one of them is not valid: it was when it came into the state.
    fn hold(&self, _modules: &[Arc<ByteBuf>], _progress: &dyn Fn(usize, usize)) {}

    /// The heap of a fresh instance: data segments applied, globals at their initial values, start function not run.
    ///
    /// # Errors
    /// A data or element segment that does not fit.
    fn instantiate(&self, wasm: &[u8]) -> Result<Heap, Trap>;

    /// Runs one entry point to its end.
    fn run(&self, run: Run<'_>) -> Ran;

    /// What [`Engine::run`] gives if that takes at most `allowance` instructions, else `None`.
    ///
    /// Asked again with more, about the same run under the same name, a host may go on where it stopped. That is a cache: it
    /// may be lost at any moment, and nothing but time is lost with it.
    fn advance(&self, run: Run<'_>, _name: &RunName, allowance: u64) -> Option<Ran> {
        let ran = self.run(run);
        (ran.instructions <= allowance).then_some(ran)
    }
}
