//! What begins with a block and not with a message: due timers, heartbeats, calls and stops that have waited long enough.

use crate::{calls::respond, charges, rejects};
use mains_state::{Message, Response, State, Task};
use mains_types::{CanisterId, Cycles, limits};

/// Queues everything that this block's time makes due. Tasks stand in their canister's queue like any message.
pub(crate) fn begin(state: &mut State) {
    while let Some((caller, callback)) = state.take_overdue(state.time) {
        let result = Err(rejects::timed_out());
        state.enqueue(&caller, Message::Response(Response { callback, result, refund: Cycles::ZERO }));
    }
    for (id, stop) in state.take_overdue_stops(state.time) {
        respond(state, &stop.origin, Err(rejects::still_stopping(&id)), stop.cycles);
    }
    for id in state.due_timers(state.time).take(limits::ROUND_MESSAGES_MAX).collect::<Vec<_>>() {
        if let Some(canister) = state.canister_mut(&id) {
            // Switched off before it runs: a timer that traps does not run for ever.
            canister.global_timer = None;
            queue(state, &id, Task::GlobalTimer);
        }
    }
    for id in state.heartbeats().collect::<Vec<_>>() {
        let waits = state.canister(&id).is_none_or(|canister| canister.heartbeat_waits);
        if !waits && charges::require_liquid(state, &id, Cycles::ZERO).is_ok() {
            if let Some(canister) = state.canister_mut(&id) {
                canister.heartbeat_waits = true;
            }
            queue(state, &id, Task::Heartbeat);
        }
    }
}

fn queue(state: &mut State, id: &CanisterId, task: Task) {
    state.enqueue(id, Message::Task(task));
}
