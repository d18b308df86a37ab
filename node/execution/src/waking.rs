//! What waking a canister costs: the copy of its heap into a live instance. Spec: `specs/execution.md`, "Waking a canister".

use crate::engine::COPIED_PAGE_INSTRUCTIONS;
use mains_state::{Heap, PAGE_BYTES, State};
use mains_types::{CanisterId, limits};

/// The largest heap leaves the most of what any message may use.
const MOST: u64 = limits::HEAP_BYTES_MAX / PAGE_BYTES as u64 * COPIED_PAGE_INSTRUCTIONS;
const _: () = assert!(MOST < limits::QUERY_INSTRUCTIONS_MAX && MOST < limits::UPDATE_INSTRUCTIONS_MAX / 8);

/// Instructions that a run of this canister begins with: those of copying its heap, 0 if it is awake or has no code.
pub(crate) fn cost(state: &State, id: &CanisterId) -> u64 {
    let code = state.canister(id).and_then(|canister| canister.code.as_ref());
    code.filter(|_| !state.awake.has(id)).map_or(0, |code| copying(&code.heap))
}

/// Instructions of copying a heap.
pub(crate) fn copying(heap: &Heap) -> u64 {
    heap.pages.len().saturating_mul(COPIED_PAGE_INSTRUCTIONS)
}
