//! What of a value goes into the root: BLAKE3 over its canonical encoding, large parts by their own digests.

use crate::{
    CallPolicy, Canister, Code, RunStatus, Settings, Snapshot,
    canister::{Change, LogRecord},
    message::{CallContext, Callback},
    paused::{Beginning, Draft, Installing, Paused},
    preparing::Accepted,
    snapshot::{Content, Global, HookStatus, Upload},
};
use imbl::{OrdMap, Vector};
use mains_types::{CanisterId, Cycles, Digest32, Principal, UnixNanos};
use serde::Serialize;

/// BLAKE3 over the postcard encoding.
pub(crate) fn of<T: Serialize + ?Sized>(value: &T) -> Digest32 {
    let bytes = postcard::to_stdvec(value).expect("replicated values have an encoding");
    *blake3::hash(&bytes).as_bytes()
}

/// A canister's digest: memories by the roots of their page trees, module and chunks by the hashes that name them,
/// messages by theirs.
pub(super) fn canister(canister: &Canister) -> Digest32 {
    // No `..`: whoever adds a field decides here how the root covers it.
    let Canister {
        id,
        settings,
        call_policy,
        status,
        code,
        version,
        created_at,
        installed_at,
        certified_data,
        global_timer,
        queue,
        queue_bytes: _, // follows from the queue
        heartbeat_waits,
        low_memory,
        contexts,
        callbacks,
        next_context,
        next_callback,
        chunks,
        snapshots,
        next_snapshot,
        log,
        next_log,
        history,
        changes_count,
        burned,
        charged_until,
        turn,
        paused,
    } = canister;
    of(&Summary {
        id,
        settings,
        call_policy,
        status,
        code: code.as_ref().map(summarise),
        version: *version,
        created_at: *created_at,
        installed_at: *installed_at,
        certified_data,
        global_timer: *global_timer,
        queue: queue.iter().map(|message| message.digest()).collect(),
        heartbeat_waits: *heartbeat_waits,
        low_memory: *low_memory,
        contexts,
        callbacks,
        next_context: *next_context,
        next_callback: *next_callback,
        chunks: chunks.keys().collect(),
        snapshots: snapshots.iter().map(|(number, snapshot)| (*number, of(&snapshot_summary(snapshot)))).collect(),
        next_snapshot: *next_snapshot,
        log,
        next_log: *next_log,
        history,
        changes_count: *changes_count,
        burned: *burned,
        charged_until: *charged_until,
        turn: *turn,
        paused: paused.as_ref().map(summarise_paused),
    })
}

fn summarise_paused(paused: &Paused) -> PausedSummary<'_> {
    let Paused { work, installing, beginning, reserved, slices, place, turn } = paused;
    PausedSummary {
        work: work.digest(),
        installing: installing.as_ref().map(summarise_installing),
        beginning,
        reserved: *reserved,
        slices: *slices,
        place: *place,
        turn: *turn,
    }
}

fn summarise_installing(installing: &Installing) -> InstallingSummary<'_> {
    let Installing { module, steps, instructions, burned, draft } = installing;
    let draft = draft.as_ref().map(|draft| {
        let Draft { code, certified_data, global_timer, log, next_log } = draft;
        DraftSummary { code: summarise(code), certified_data, global_timer: *global_timer, log, next_log: *next_log }
    });
    InstallingSummary { module: accepted(module), steps: *steps, instructions: *instructions, burned: *burned, draft }
}

/// A module by the hashes that name it.
pub(super) fn accepted(module: &Accepted) -> AcceptedSummary<'_> {
    let Accepted { wasm: _, id, hash, publisher } = module;
    AcceptedSummary { id, hash, publisher: *publisher }
}

fn summarise(code: &Code) -> CodeSummary<'_> {
    // `digest` covers the module with its sections and exports.
    let Code { wasm: _, module_hash, heap, stable, stable_pages, sections: _, exports: _, digest } = code;
    CodeSummary {
        module_hash,
        module: digest,
        heap: heap.pages.digest(),
        heap_bytes: heap.bytes,
        globals: &heap.globals,
        stable: stable.digest(),
        stable_pages: *stable_pages,
    }
}

fn snapshot_summary(snapshot: &Snapshot) -> SnapshotSummary<'_> {
    let Snapshot { taken_at, canister_version, content, chunks, certified_data, global_timer, low_memory_hook, .. } =
        snapshot;
    SnapshotSummary {
        taken_at: *taken_at,
        canister_version: *canister_version,
        content: match content {
            Content::Taken(code) => ContentSummary::Taken(summarise(code)),
            Content::Uploaded(upload) => ContentSummary::Uploaded(upload_summary(upload)),
        },
        chunks: chunks.keys().collect(),
        certified_data,
        global_timer: *global_timer,
        low_memory_hook: *low_memory_hook,
    }
}

fn upload_summary(upload: &Upload) -> UploadSummary<'_> {
    let Upload { module, module_bytes, globals, heap, heap_bytes, stable, stable_pages } = upload;
    UploadSummary {
        memories: [module.digest(), heap.digest(), stable.digest()],
        sizes: [*module_bytes, *heap_bytes, *stable_pages],
        globals,
    }
}

#[derive(Serialize)]
struct SnapshotSummary<'a> {
    taken_at: UnixNanos,
    canister_version: u64,
    content: ContentSummary<'a>,
    chunks: Vec<&'a Digest32>,
    certified_data: &'a [u8],
    global_timer: Option<Option<UnixNanos>>,
    low_memory_hook: Option<HookStatus>,
}

#[derive(Serialize)]
enum ContentSummary<'a> {
    Taken(CodeSummary<'a>),
    Uploaded(UploadSummary<'a>),
}

#[derive(Serialize)]
struct UploadSummary<'a> {
    memories: [Digest32; 3],
    sizes: [u64; 3],
    globals: &'a [Global],
}

#[derive(Serialize)]
struct Summary<'a> {
    id: &'a CanisterId,
    settings: &'a Settings,
    call_policy: &'a Option<Box<CallPolicy>>,
    status: &'a RunStatus,
    code: Option<CodeSummary<'a>>,
    version: u64,
    created_at: UnixNanos,
    installed_at: Option<UnixNanos>,
    certified_data: &'a [u8],
    global_timer: Option<UnixNanos>,
    queue: Vec<Digest32>,
    heartbeat_waits: bool,
    low_memory: HookStatus,
    contexts: &'a OrdMap<u64, CallContext>,
    callbacks: &'a OrdMap<u64, Callback>,
    next_context: u64,
    next_callback: u64,
    chunks: Vec<&'a Digest32>,
    snapshots: Vec<(u64, Digest32)>,
    next_snapshot: u64,
    log: &'a Vector<LogRecord>,
    next_log: u64,
    history: &'a [Change],
    changes_count: u64,
    burned: Cycles,
    charged_until: UnixNanos,
    turn: Option<u64>,
    paused: Option<PausedSummary<'a>>,
}

#[derive(Serialize)]
struct PausedSummary<'a> {
    work: Digest32,
    installing: Option<InstallingSummary<'a>>,
    beginning: &'a Beginning,
    reserved: Cycles,
    slices: u64,
    place: Option<u64>,
    turn: u64,
}

#[derive(Serialize)]
struct InstallingSummary<'a> {
    module: AcceptedSummary<'a>,
    steps: u64,
    instructions: u64,
    burned: Cycles,
    draft: Option<DraftSummary<'a>>,
}

#[derive(Serialize)]
pub(super) struct AcceptedSummary<'a> {
    id: &'a Digest32,
    hash: &'a Digest32,
    publisher: Option<Principal>,
}

#[derive(Serialize)]
struct DraftSummary<'a> {
    code: CodeSummary<'a>,
    certified_data: &'a [u8],
    global_timer: Option<UnixNanos>,
    log: &'a Vector<LogRecord>,
    next_log: u64,
}

#[derive(Serialize)]
struct CodeSummary<'a> {
    module_hash: &'a Digest32,
    module: &'a Digest32,
    heap: Digest32,
    heap_bytes: u64,
    globals: &'a [u64],
    stable: Digest32,
    stable_pages: u64,
}
