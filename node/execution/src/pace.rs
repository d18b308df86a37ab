//! When a subnet that no client calls wants its next block.

use crate::charges;
use mains_state::{Preparing, State};
use mains_types::{Cycles, UnixNanos};

/// Between two blocks that only heartbeats or installs ask for: a canister that does little must not keep all replicas busy.
pub const HEARTBEAT_NANOS: u64 = UnixNanos::SECOND / 5;

/// From when on the state wants a block: something waits to be run, a timer or the deadline of a call or a stop is due, an install
/// has had its time or needs more rounds, or a canister that can pay has a heartbeat. A moment in the past means now; `None` that nothing is to come.
pub fn due_at(state: &State) -> Option<UnixNanos> {
    if state.has_work() {
        return Some(state.time);
    }
    let can_pay = |id| charges::require_liquid(state, &id, Cycles::ZERO).is_ok();
    let next = state.time.saturating_add_nanos(HEARTBEAT_NANOS);
    let heartbeat = state.heartbeats().any(can_pay).then_some(next);
    let prepared = |entry: &Preparing| {
        let (height, due) = entry.due?;
        Some(if height <= state.height.next() { due } else { due.min(next) })
    };
    let prepared = state.preparing().filter_map(prepared).min();
    [heartbeat, prepared, state.next_timer(), state.next_deadline(), state.next_stop()].into_iter().flatten().min()
}
