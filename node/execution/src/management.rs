//! The management canister, `aaaaa-aa`. PLACEHOLDER: the room's owner replaces this file.

use crate::calls::{Outcome, SystemCall};
use mains_state::State;
use mains_types::{CanisterId, ErrorCode, Principal, Reject, RejectCode};

/// Answers a call.
pub(crate) fn call(call: &mut SystemCall<'_>) -> Outcome {
    Outcome::Reject(unknown(call.method))
}

/// Answers a call that was made as a query.
pub(crate) fn query(_state: &State, _sender: Principal, method: &str, _argument: &[u8]) -> Result<Vec<u8>, Reject> {
    Err(unknown(method))
}

/// The canister that a client's call is about, `None` for a method that is about none.
///
/// # Errors
/// The method does not exist for clients or the argument does not decode.
pub fn ingress_target(_method: &str, _argument: &[u8]) -> Result<Option<CanisterId>, Reject> {
    Ok(None)
}

fn unknown(method: &str) -> Reject {
    let text = format!("Management canister has no method '{method}'");
    Reject::new(RejectCode::DestinationInvalid, ErrorCode::CanisterMethodNotFound, text)
}
