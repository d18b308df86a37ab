//! The hook that warns a canister when its heap comes close to its limit.
//!
//! When less than the threshold is left, the hook becomes ready and runs once, before any other message of its canister. It
//! is ready again only after there was enough memory in between. What can change that is looked at after every message
//! of the canister and after every call of the management canister about it.

use mains_state::{Canister, Message, Settings, State, Task, snapshot::HookStatus};
use mains_types::{CanisterId, limits};

/// The entry point.
pub(crate) const EXPORT: &str = "canister_on_low_wasm_memory";

/// Whether a heap of this size leaves less than the threshold below its limit.
pub(crate) fn is_low(settings: &Settings, heap_bytes: u64) -> bool {
    let limit = match settings.wasm_memory_limit {
        0 => limits::HEAP_BYTES_MAX,
        limit => limit,
    };
    limit < heap_bytes.saturating_add(settings.wasm_memory_threshold)
}

/// Brings the hook's status up to date, and puts a hook that is ready before everything else that waits.
pub(crate) fn review(state: &mut State, id: &CanisterId) {
    let Some(canister) = state.canister(id) else { return };
    let (before, after) = (canister.low_memory, status(canister));
    let waits = canister.queue.front().is_some_and(|message| matches!(***message, Message::Task(Task::LowMemory)));
    if after != before
        && let Some(canister) = state.canister_mut(id)
    {
        canister.low_memory = after;
    }
    if after == HookStatus::Ready && !waits {
        state.enqueue_first(id, Message::Task(Task::LowMemory));
    }
}

/// Where the hook stands, as things are now.
pub(crate) fn status(canister: &Canister) -> HookStatus {
    let Some(code) = &canister.code else { return HookStatus::ConditionNotSatisfied };
    match canister.low_memory {
        _ if !is_low(&canister.settings, code.heap.bytes) => HookStatus::ConditionNotSatisfied,
        HookStatus::Executed => HookStatus::Executed,
        // Without a hook there is nothing to run; one that is installed later learns of the next time.
        _ if !code.has_hook(EXPORT) => HookStatus::Executed,
        _ => HookStatus::Ready,
    }
}
