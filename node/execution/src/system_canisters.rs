//! The canisters that are built in. PLACEHOLDER: the room's owner replaces this file.

use crate::calls::{Outcome, SystemCall};
use mains_state::State;
use mains_types::{CanisterId, ErrorCode, Principal, Reject, RejectCode};

/// Whether a canister is built in on this network.
pub fn is_built_in(_state: &State, _canister: &CanisterId) -> bool {
    false
}

/// Answers a call.
pub(crate) fn call(call: &mut SystemCall<'_>) -> Outcome {
    Outcome::Reject(unknown(call.method))
}

/// Answers a call that was made as a query.
pub(crate) fn query(
    _state: &State,
    _sender: Principal,
    _canister: &CanisterId,
    method: &str,
    _argument: &[u8],
) -> Result<Vec<u8>, Reject> {
    Err(unknown(method))
}

fn unknown(method: &str) -> Reject {
    let text = format!("No such method '{method}'");
    Reject::new(RejectCode::DestinationInvalid, ErrorCode::CanisterMethodMissing, text)
}
