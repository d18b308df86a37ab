//! S10: every queue keeps its bound at every height, and nothing is left over in the end.

use crate::log::Log;
use mains_replica::View;
use mains_state::State;
use mains_types::limits;
use std::sync::Arc;

/// Looks at a state after a block.
pub fn check(state: &State, log: &Log) {
    for canister in state.canisters() {
        if canister.queue.len() > limits::CANISTER_QUEUE_MAX || canister.queue_bytes > limits::CANISTER_QUEUE_BYTES_MAX
        {
            log.broken(|| format!("S10: the queue of {} is longer than it may be", canister.id));
        }
    }
    if state.ingress_count() > limits::INGRESS_HISTORY_MAX {
        log.broken(|| "S10: more requests are remembered than may be".into());
    }
}

/// Looks at members that have nothing more to do.
///
/// # Errors
/// A canister still has messages.
pub fn at_rest(views: &[Arc<View>]) -> Result<(), String> {
    for view in views {
        if let Some(canister) = view.state.canisters().find(|canister| !canister.queue.is_empty()) {
            return Err(format!("S10: {} still has messages when all is done", canister.id));
        }
    }
    Ok(())
}
