//! The canisters that are built in at the ids they have on the Internet Computer, so that its tools find them: the cycles
//! ledger, the cycles minting canister's surface, and on test networks the ICP ledger's.
//!
//! They have no code and no memory of their own: balances are member accounts of the ledger, the rest is in
//! [`mains_state::Tokens`]. Spec: `specs/interface.md`, "System canisters".

mod cycles_ledger;
mod icp_ledger;
mod icrc;
mod minting;
#[cfg(test)]
mod tests;
mod transactions;

use crate::{
    calls::{Outcome, SystemCall},
    management::codec,
};
use mains_state::State;
use mains_types::{
    CanisterId, ErrorCode, Principal, Reject, RejectCode,
    ids::{cycles_ledger_id, cycles_minting_id, icp_ledger_id},
};

/// What a canister answers with its Candid interface, by the convention that tools ask before they look for metadata.
const INTERFACE_METHOD: &str = "__get_candid_interface_tmp_hack";

/// The built-in canisters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BuiltIn {
    CyclesLedger,
    CyclesMinting,
    IcpLedger,
}

impl BuiltIn {
    fn find(state: &State, id: &CanisterId) -> Option<Self> {
        if *id == cycles_ledger_id() {
            Some(Self::CyclesLedger)
        } else if *id == cycles_minting_id() {
            Some(Self::CyclesMinting)
        } else if *id == icp_ledger_id() && state.subnet.is_test {
            Some(Self::IcpLedger)
        } else {
            None
        }
    }

    const fn interface(self) -> &'static str {
        match self {
            Self::CyclesLedger => include_str!("system_canisters/cycles_ledger.did"),
            Self::CyclesMinting => include_str!("system_canisters/minting.did"),
            Self::IcpLedger => include_str!("system_canisters/icp_ledger.did"),
        }
    }
}

/// Whether a canister is built in on this network.
pub fn is_built_in(state: &State, canister: &CanisterId) -> bool {
    BuiltIn::find(state, canister).is_some()
}

/// The Candid interface of a built-in canister, as its `candid:service` metadata would be.
pub fn interface(state: &State, canister: &CanisterId) -> Option<&'static str> {
    BuiltIn::find(state, canister).map(BuiltIn::interface)
}

/// Answers a call. Query methods are answered here too.
pub(crate) fn call(call: &mut SystemCall<'_>) -> Outcome {
    let answer = match BuiltIn::find(call.state, &call.callee) {
        Some(BuiltIn::CyclesLedger) => cycles_ledger::call(call),
        Some(BuiltIn::CyclesMinting) => minting::call(call),
        Some(BuiltIn::IcpLedger) => icp_ledger::call(call),
        None => None,
    };
    let answer = match answer {
        Some(answer) => answer,
        None => query(call.state, call.sender, &call.callee, call.method, call.argument),
    };
    match answer {
        Ok(reply) => Outcome::Reply(reply),
        Err(reject) => Outcome::Reject(reject),
    }
}

/// Answers a call that was made as a query.
///
/// # Errors
/// No such method, or the argument does not decode.
pub(crate) fn query(
    state: &State,
    _sender: Principal,
    canister: &CanisterId,
    method: &str,
    argument: &[u8],
) -> Result<Vec<u8>, Reject> {
    let answer = match BuiltIn::find(state, canister) {
        Some(built_in) if method == INTERFACE_METHOD => Some(Ok(codec::encode(&built_in.interface()))),
        Some(BuiltIn::CyclesLedger) => cycles_ledger::query(state, method, argument),
        Some(BuiltIn::CyclesMinting) => minting::query(state, method),
        Some(BuiltIn::IcpLedger) => icp_ledger::query(state, method, argument),
        None => None,
    };
    answer.unwrap_or_else(|| Err(no_method(canister, method)))
}

fn no_method(canister: &CanisterId, method: &str) -> Reject {
    let message = format!("Canister {canister} has no method {method:?}.");
    Reject::new(RejectCode::CanisterError, ErrorCode::CanisterMethodMissing, message)
}
