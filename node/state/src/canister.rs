//! One canister: settings, code with its memories, queue, open calls, log.
//!
//! Its cycles are not here but in the ledger (`mains_ledger`).

use crate::{
    CallPolicy, Heap, PageTree, Snapshot,
    message::{CallContext, CallOrigin, Callback, Hashed, Message},
    paused::Paused,
    snapshot::HookStatus,
};
use imbl::{OrdMap, Vector};
use mains_ledger::Footprint;
use mains_types::{CanisterId, Cycles, Digest32, Principal, UnixNanos, limits};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Name of the public custom section that says who published a module, as the text of a principal. Made of a signature that
/// was verified; no module can bring it.
pub const PUBLISHER_SECTION: &str = "mains:publisher";

/// Who may read a canister's logs (or status, where that is the setting).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogVisibility {
    /// Only its controllers.
    #[default]
    Controllers,
    /// Everybody.
    Public,
    /// Its controllers and these.
    AllowedViewers(BTreeSet<Principal>),
}

/// What controllers decide about a canister (interface specification, "canister settings").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Who may manage it; at most 10.
    pub controllers: BTreeSet<Principal>,
    /// Percent of an execution thread it has a right to.
    pub compute_allocation: u64,
    /// Bytes it has a right to; 0 is best effort.
    pub memory_allocation: u64,
    /// Seconds of idle cost it must keep before it is frozen.
    pub freezing_threshold_seconds: u64,
    /// Most cycles that may be set aside for storage.
    pub reserved_cycles_limit: Cycles,
    /// Heap bytes it may grow to; 0 is the protocol's limit.
    pub wasm_memory_limit: u64,
    /// Remaining heap bytes below which the low-memory hook runs.
    pub wasm_memory_threshold: u64,
    /// Who may read its logs.
    pub log_visibility: LogVisibility,
    /// Bytes of log kept.
    pub log_memory_limit: u64,
    /// Who may list and read its snapshots.
    pub snapshot_visibility: LogVisibility,
    /// Who may read its status.
    pub status_visibility: LogVisibility,
    /// Cycles a call from another canister must carry at least.
    pub minimum_incoming_canister_call_cycles: Cycles,
    /// Names and values its code can read.
    pub environment_variables: BTreeMap<String, String>,
}

impl Default for Settings {
    /// What the interface specification says for whatever is not given; no controllers.
    fn default() -> Self {
        Self {
            controllers: BTreeSet::new(),
            compute_allocation: 0,
            memory_allocation: 0,
            freezing_threshold_seconds: 2_592_000,
            reserved_cycles_limit: Cycles(5_000_000_000_000),
            wasm_memory_limit: 0,
            wasm_memory_threshold: 0,
            log_visibility: LogVisibility::default(),
            log_memory_limit: limits::LOG_BYTES_MAX as u64,
            snapshot_visibility: LogVisibility::default(),
            status_visibility: LogVisibility::default(),
            minimum_incoming_canister_call_cycles: Cycles::ZERO,
            environment_variables: BTreeMap::new(),
        }
    }
}

/// A call of `stop_canister` that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// Whose call it is.
    pub origin: CallOrigin,
    /// Cycles that came with it.
    pub cycles: Cycles,
    /// When it gives up.
    pub until: UnixNanos,
}

/// Whether a canister takes messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunStatus {
    /// It does.
    Running,
    /// It waits for its open calls; these callers wait for it to be stopped, in the order in which they asked.
    Stopping(Vec<Stop>),
    /// It does not.
    Stopped,
}

/// A module and the memories it works on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Code {
    /// The module as installed (after gunzip).
    #[serde(with = "crate::shared")]
    pub wasm: Arc<serde_bytes::ByteBuf>,
    /// SHA-256 of the module as it was uploaded.
    pub module_hash: Digest32,
    /// Heap and globals.
    pub heap: Heap,
    /// Stable memory.
    pub stable: PageTree,
    /// Size of stable memory in Wasm pages of 64 KiB.
    pub stable_pages: u64,
    /// The module's `icp:` custom sections by name. A function of the module.
    #[serde(with = "crate::shared")]
    pub sections: Arc<BTreeMap<String, Section>>,
    /// What the module exports. A function of the module.
    #[serde(with = "crate::shared")]
    pub exports: Arc<Exports>,
    /// BLAKE3 of module, sections and exports: how the root covers them.
    pub(crate) digest: Digest32,
}

/// What a module exports, kept so that finding a method needs no look into the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exports {
    /// Update methods.
    pub updates: BTreeSet<String>,
    /// Query methods.
    pub queries: BTreeSet<String>,
    /// Composite query methods.
    pub composite_queries: BTreeSet<String>,
    /// Entry points without a method name, e.g. `canister_heartbeat`.
    pub hooks: BTreeSet<String>,
}

/// One custom section, read as `/canister/<id>/metadata/<name>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// Whether everybody may read it; else only controllers.
    pub is_public: bool,
    /// Its bytes.
    pub content: Arc<serde_bytes::ByteBuf>,
}

impl Code {
    /// A module on a heap, with empty stable memory. `module_hash` is the SHA-256 of what was uploaded; `sections` and `exports`
    /// are what the host found in the module.
    pub fn new(
        wasm: Arc<serde_bytes::ByteBuf>,
        module_hash: Digest32,
        heap: Heap,
        sections: BTreeMap<String, Section>,
        exports: Exports,
    ) -> Self {
        let (stable, digest) = (PageTree::default(), [0; 32]);
        let (sections, exports) = (Arc::new(sections), Arc::new(exports));
        let mut code = Self { wasm, module_hash, heap, stable, stable_pages: 0, sections, exports, digest };
        code.digest = code.module_digest();
        code
    }

    /// What `digest` must be.
    pub(crate) fn module_digest(&self) -> Digest32 {
        let module = *blake3::hash(&self.wasm).as_bytes();
        crate::state::digest_of(&(module, &self.sections, &self.exports))
    }

    /// Who signed the module, as the text of a principal; nobody if it is not signed.
    pub fn publisher(&self) -> Option<&str> {
        std::str::from_utf8(&self.sections.get(PUBLISHER_SECTION)?.content).ok()
    }

    /// Whether the module has an entry point of this name, e.g. `canister_inspect_message`.
    pub fn has_hook(&self, name: &str) -> bool {
        self.exports.hooks.contains(name)
    }

    /// Bytes that are paid for: the module, the heap's size and stable memory's size.
    pub fn memory_bytes(&self) -> u64 {
        self.wasm.len() as u64 + self.memories_bytes()
    }

    /// Bytes of heap and stable memory.
    pub fn memories_bytes(&self) -> u64 {
        memories_bytes(self.heap.bytes, self.stable_pages)
    }
}

/// Bytes of a heap and this many pages of stable memory.
pub fn memories_bytes(heap_bytes: u64, stable_pages: u64) -> u64 {
    heap_bytes + stable_pages * limits::WASM_PAGE_BYTES
}

/// One line of a canister's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// Position in the log, from 0, without gaps.
    pub index: u64,
    /// Block time.
    pub timestamp: UnixNanos,
    /// What was printed.
    #[serde(with = "serde_bytes")]
    pub content: Vec<u8>,
}

/// What happened to a canister, for its history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Block time.
    pub timestamp: UnixNanos,
    /// The canister's version after it.
    pub version: u64,
    /// Who did it.
    pub origin: Principal,
    /// The origin's version when it asked for it, if it is a canister and said so.
    pub origin_version: Option<u64>,
    /// What it was.
    pub kind: ChangeKind,
}

/// The kinds of changes that a history keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChangeKind {
    /// Created, with these controllers; the hash of its environment variables, if any were given.
    Creation(BTreeSet<Principal>, Option<Digest32>),
    /// Code removed.
    Uninstall,
    /// Code installed: mode text (`install`, `reinstall`, `upgrade`) and module hash.
    Deployment(String, Digest32),
    /// Controllers set.
    Controllers(BTreeSet<Principal>),
    /// A snapshot loaded.
    SnapshotLoaded {
        /// Whose, if another canister's.
        from: Option<CanisterId>,
        /// Its id.
        #[serde(with = "serde_bytes")]
        snapshot: Vec<u8>,
        /// The version of the canister it is of, when it was taken.
        canister_version: u64,
        /// When it was taken.
        taken_at: UnixNanos,
        /// Whether it was uploaded.
        is_upload: bool,
    },
}

/// One canister.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Canister {
    /// Its id.
    pub id: CanisterId,
    /// Its settings.
    pub settings: Settings,
    /// Limits on what calls from outside cost it, if its controllers set any.
    pub call_policy: Option<Box<CallPolicy>>,
    /// Whether it takes messages.
    pub status: RunStatus,
    /// Its code, if any is installed.
    pub code: Option<Code>,
    /// Bumped on every change that the interface specification names.
    pub version: u64,
    /// When it was created.
    pub created_at: UnixNanos,
    /// When code was installed last.
    pub installed_at: Option<UnixNanos>,
    /// At most 32 bytes that certificates carry for it.
    #[serde(with = "serde_bytes")]
    pub certified_data: Vec<u8>,
    /// When its timer is due.
    pub global_timer: Option<UnixNanos>,
    /// Messages that wait, oldest first. Changed only by [`crate::State::enqueue`] and its siblings.
    pub queue: Vector<Arc<Hashed<Message>>>,
    /// Bytes of all messages that wait.
    pub queue_bytes: u64,
    /// Whether a heartbeat waits, so that there is never more than one.
    pub heartbeat_waits: bool,
    /// How far the hook that warns of low memory has come.
    pub low_memory: HookStatus,
    /// Calls it works on, by id.
    pub contexts: OrdMap<u64, CallContext>,
    /// Calls it made, by callback id. Changed only by [`crate::State::insert_callback`] and [`crate::State::take_callback`].
    pub callbacks: OrdMap<u64, Callback>,
    /// The next context id.
    pub next_context: u64,
    /// The next callback id.
    pub next_callback: u64,
    /// Uploaded chunks by SHA-256.
    pub chunks: OrdMap<Digest32, Arc<serde_bytes::ByteBuf>>,
    /// Its snapshots by number.
    pub snapshots: OrdMap<u64, Arc<Snapshot>>,
    /// The next snapshot's number.
    pub next_snapshot: u64,
    /// Its log, oldest first.
    pub log: Vector<LogRecord>,
    /// The next log record's index.
    pub next_log: u64,
    /// Its latest changes, oldest first.
    pub history: Arc<Vec<Change>>,
    /// Changes ever made.
    pub changes_count: u64,
    /// Cycles that it burnt itself.
    pub burned: Cycles,
    /// Until when its storage is paid.
    pub charged_until: UnixNanos,
    /// Its place in the order of canisters with messages to run; `None` while it has none or is paused.
    pub turn: Option<u64>,
    /// The message that goes on in a later round. Changed only by [`crate::State::pause`] and its siblings.
    pub paused: Option<Paused>,
}

impl Canister {
    /// An empty, running canister, created at `now`.
    pub fn new(id: CanisterId, settings: Settings, now: UnixNanos) -> Self {
        Self {
            id,
            settings,
            call_policy: None,
            status: RunStatus::Running,
            code: None,
            version: 0,
            created_at: now,
            installed_at: None,
            certified_data: Vec::new(),
            global_timer: None,
            queue: Vector::new(),
            queue_bytes: 0,
            heartbeat_waits: false,
            low_memory: HookStatus::default(),
            contexts: OrdMap::new(),
            callbacks: OrdMap::new(),
            next_context: 0,
            next_callback: 0,
            chunks: OrdMap::new(),
            snapshots: OrdMap::new(),
            next_snapshot: 0,
            log: Vector::new(),
            next_log: 0,
            history: Arc::default(),
            changes_count: 0,
            burned: Cycles::ZERO,
            charged_until: now,
            turn: None,
            paused: None,
        }
    }

    /// Whether `principal` is one of its controllers.
    pub fn is_controlled_by(&self, principal: &Principal) -> bool {
        self.settings.controllers.contains(principal)
    }

    /// Bytes that its storage is charged for: what it keeps, at least its memory allocation.
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes_with(0)
    }

    /// The same if it kept this much more.
    pub fn memory_bytes_with(&self, more: u64) -> u64 {
        self.kept_bytes().saturating_add(more).max(self.settings.memory_allocation)
    }

    /// Bytes of its code, memories, chunks, snapshots, log and call policy.
    fn kept_bytes(&self) -> u64 {
        let code = self.code.as_ref().map_or(0, Code::memory_bytes);
        let chunks: u64 = self.chunks.values().map(|chunk| chunk.len() as u64).sum();
        let policy = self.call_policy.as_ref().map_or(0, |policy| policy.bytes());
        code + chunks + self.snapshots_bytes() + self.log_bytes() + policy
    }

    /// What it costs while it does nothing.
    pub fn footprint(&self) -> Footprint {
        Footprint {
            memory_bytes: self.memory_bytes(),
            compute_allocation_percent: self.settings.compute_allocation,
            freezing_threshold_s: self.settings.freezing_threshold_seconds,
        }
    }

    /// Bytes of its snapshots, as if they shared nothing.
    pub fn snapshots_bytes(&self) -> u64 {
        self.snapshots.values().map(|snapshot| snapshot.bytes()).sum()
    }

    /// Bytes of its log records.
    pub fn log_bytes(&self) -> u64 {
        self.log.iter().map(|record| record.content.len() as u64).sum()
    }

    /// Appends to its log and drops the oldest records beyond its limit.
    pub fn append_log(&mut self, timestamp: UnixNanos, lines: impl IntoIterator<Item = Vec<u8>>) {
        let most = self.settings.log_memory_limit.min(limits::LOG_BYTES_MAX as u64);
        let mut bytes = self.log_bytes();
        for mut content in lines {
            content.truncate(most as usize);
            bytes += content.len() as u64;
            self.log.push_back(LogRecord { index: self.next_log, timestamp, content });
            self.next_log += 1;
            while bytes > most || self.log.len() > limits::LOG_RECORDS_MAX {
                bytes -= self.log.pop_front().map_or(0, |record| record.content.len() as u64);
            }
        }
    }

    /// Appends to its history, the version being the present one, and drops the oldest changes beyond the limit. The origin
    /// is a principal and, if it is a canister that said so, its version.
    pub fn record_change(
        &mut self,
        timestamp: UnixNanos,
        (origin, origin_version): (Principal, Option<u64>),
        kind: ChangeKind,
    ) {
        let history = Arc::make_mut(&mut self.history);
        history.push(Change { timestamp, version: self.version, origin, origin_version, kind });
        self.changes_count += 1;
        history.drain(..history.len().saturating_sub(limits::HISTORY_MAX));
        history.shrink_to_fit();
    }

    /// Gives back room that collections keep when they have become empty: most canisters sleep most of the time.
    pub(crate) fn shed(&mut self) {
        if self.queue.is_empty() {
            self.queue = Vector::new();
        }
        if self.contexts.is_empty() {
            self.contexts = OrdMap::new();
        }
        if self.callbacks.is_empty() {
            self.callbacks = OrdMap::new();
        }
        if self.chunks.is_empty() {
            self.chunks = OrdMap::new();
        }
        if self.snapshots.is_empty() {
            self.snapshots = OrdMap::new();
        }
    }

    /// Whether nothing is under way: a stopping canister is then stopped.
    pub fn is_drained(&self) -> bool {
        self.contexts.is_empty() && self.callbacks.is_empty() && self.paused.is_none()
    }
}
