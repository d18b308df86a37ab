//! One canister: settings, code with its memories, queue, open calls, log.
//!
//! Its cycles are not here but in the ledger (`mains_ledger`).

use crate::{Heap, PageTree, message::{CallContext, CallOrigin, Callback, Message}};
use imbl::{OrdMap, Vector};
use mains_types::{CanisterId, Cycles, Digest32, Principal, UnixNanos};
use serde::{Deserialize, Serialize};
use std::{collections::{BTreeMap, BTreeSet}, sync::Arc};

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

/// Whether a canister takes messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunStatus {
    /// It does.
    Running,
    /// It waits for its open calls; these callers wait for it to be stopped.
    Stopping(Vec<(CallOrigin, Cycles)>),
    /// It does not.
    Stopped,
}

/// A module and the memories it works on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Code {
    /// The module as installed (after gunzip).
    pub wasm: Arc<serde_bytes::ByteBuf>,
    /// SHA-256 of the module as it was uploaded.
    pub module_hash: Digest32,
    /// Heap and globals.
    pub heap: Heap,
    /// Stable memory.
    pub stable: PageTree,
    /// Size of stable memory in Wasm pages of 64 KiB.
    pub stable_pages: u64,
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
    /// What it was.
    pub kind: ChangeKind,
}

/// The kinds of changes that a history keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChangeKind {
    /// Created, with these controllers.
    Creation(BTreeSet<Principal>),
    /// Code removed.
    Uninstall,
    /// Code installed: mode text (`install`, `reinstall`, `upgrade`) and module hash.
    Deployment(String, Digest32),
    /// Controllers set.
    Controllers(BTreeSet<Principal>),
}

/// One canister.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Canister {
    /// Its id.
    pub id: CanisterId,
    /// Its settings.
    pub settings: Settings,
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
    /// Messages that wait, oldest first.
    pub queue: Vector<Arc<Message>>,
    /// Calls it works on, by id.
    pub contexts: OrdMap<u64, CallContext>,
    /// Calls it made, by callback id.
    pub callbacks: OrdMap<u64, Callback>,
    /// The next context id.
    pub next_context: u64,
    /// The next callback id.
    pub next_callback: u64,
    /// Uploaded chunks by SHA-256.
    pub chunks: OrdMap<Digest32, Arc<serde_bytes::ByteBuf>>,
    /// Its log, oldest first.
    pub log: Vector<LogRecord>,
    /// The next log record's index.
    pub next_log: u64,
    /// Its latest changes, oldest first.
    pub history: Vector<Change>,
    /// Changes ever made.
    pub changes_count: u64,
    /// Until when its storage is paid.
    pub charged_until: UnixNanos,
}
