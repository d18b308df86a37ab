//! What things cost a canister: freezing limit, storage over time, reservations for work.

use mains_ledger::{Account, Resource};
use mains_state::{Canister, State};
use mains_types::{CanisterId, Cycles, ErrorCode, Reject, RejectCode, UnixNanos, limits};

/// The balance below which a canister is frozen.
pub(crate) fn freezing_limit(state: &State, canister: &Canister) -> Cycles {
    state.ledger.tariff().freezing_limit(
        canister.memory_bytes(),
        canister.settings.compute_allocation,
        canister.settings.freezing_threshold_seconds,
    )
}

/// The reject of whoever needs work from a canister that cannot pay for it.
pub(crate) fn out_of_cycles(canister: &CanisterId, detail: &str) -> Reject {
    let text = format!("Canister {canister} is out of cycles: {detail}. Top it up and try again.");
    Reject::new(RejectCode::SysTransient, ErrorCode::CanisterOutOfCycles, text)
}
