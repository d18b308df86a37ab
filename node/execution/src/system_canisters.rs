//! The canisters that are built in at the ids they have on the Internet Computer, so that its tools find them: the cycles
//! ledger, the cycles minting canister's surface, and on test networks the ICP ledger's; and the utility, which is Mains' own.
//!
//! They have no code and no memory of their own: balances are member accounts of the ledger, the rest is in
//! [`mains_state::Tokens`]. Spec: `specs/interface.md`, "System canisters".

mod allowances;
mod blocks;
pub(crate) mod cycles_ledger;
mod icp_ledger;
mod icrc;
mod minting;
#[cfg(test)]
mod tests;
mod transactions;
mod transfers;
pub(crate) mod utility;

use crate::{
    calls::{Outcome, SystemCall},
    management::{codec, refusal},
};
use mains_state::{BuiltIn, State};
use mains_types::{CanisterId, ErrorCode, Reject, RejectCode};

/// What a canister answers with its Candid interface, by the convention that tools ask before they look for metadata.
const INTERFACE_METHOD: &str = "__get_candid_interface_tmp_hack";

/// Bytes of the argument of a client's call: a hundred ranges of blocks, ten controllers of a new canister.
const ARGUMENT_BYTES_MAX: usize = 16 << 10;

/// Whether a canister is built in on this network.
pub fn is_built_in(state: &State, canister: &CanisterId) -> bool {
    BuiltIn::find(&state.subnet, canister).is_some()
}

/// Whether a client's call is worth a place in a block: nobody pays for one that names no method or brings more than any method
/// takes. What the method says to it, replicas agree on.
///
/// # Errors
/// It is not.
pub(crate) fn inspect(state: &State, canister: &CanisterId, method: &str, argument: &[u8]) -> Result<(), Reject> {
    let built_in = BuiltIn::find(&state.subnet, canister);
    let is_method = |interface: &str| {
        let mut names = interface.lines().filter_map(|line| line.trim_start().split_once(" : ("));
        names.any(|(name, _)| name == method)
    };
    if method != INTERFACE_METHOD && !built_in.is_some_and(|built_in| is_method(built_in.interface())) {
        return Err(no_method(canister, method));
    }
    if argument.len() > ARGUMENT_BYTES_MAX {
        let (actual, most) = (argument.len(), ARGUMENT_BYTES_MAX);
        return Err(refusal::payload(format!("An argument of {actual} bytes; no method here takes more than {most}.")));
    }
    Ok(())
}

/// Answers a call. Query methods are answered here too.
pub(crate) fn call(call: &mut SystemCall<'_>) -> Outcome {
    let answer = match BuiltIn::find(&call.state.subnet, &call.callee) {
        Some(BuiltIn::CyclesLedger) => cycles_ledger::call(call),
        Some(BuiltIn::CyclesMinting) => minting::call(call),
        Some(BuiltIn::Utility) => utility::call(call),
        Some(BuiltIn::IcpLedger) => icp_ledger::call(call),
        None => None,
    };
    let answer = match answer {
        Some(answer) => answer,
        None => query(call.state, None, &call.callee, call.method, call.argument),
    };
    match answer {
        Ok(reply) => Outcome::Reply(reply),
        Err(reject) => Outcome::Reject(reject),
    }
}

/// Answers a call that was made as a query. `certificate` proves what the canister certifies, if there is one.
///
/// # Errors
/// No such method, or the argument does not decode.
pub(crate) fn query(
    state: &State,
    certificate: Option<&[u8]>,
    canister: &CanisterId,
    method: &str,
    argument: &[u8],
) -> Result<Vec<u8>, Reject> {
    let answer = match BuiltIn::find(&state.subnet, canister) {
        Some(built_in) if method == INTERFACE_METHOD => Some(Ok(codec::encode(&built_in.interface()))),
        Some(BuiltIn::CyclesLedger) => cycles_ledger::query(state, certificate, method, argument),
        Some(BuiltIn::CyclesMinting) => minting::query(state, method, argument),
        Some(BuiltIn::Utility) => utility::query(state, method, argument),
        Some(BuiltIn::IcpLedger) => icp_ledger::query(state, method, argument),
        None => None,
    };
    answer.unwrap_or_else(|| Err(no_method(canister, method)))
}

fn no_method(canister: &CanisterId, method: &str) -> Reject {
    let message = format!("Canister {canister} has no method {method:?}.");
    Reject::new(RejectCode::CanisterError, ErrorCode::CanisterMethodMissing, message)
}
