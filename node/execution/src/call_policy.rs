//! Limits that a canister's controllers set on what calls from outside cost it: who is held to them, and what counts.
//!
//! Calls of clients that are not controllers count: taking them in, and whatever runs for them at this canister, calls to itself
//! and callbacks included. Calls between canisters do not. Spec: `specs/ledger.md`, "Limits on calls from outside".

use crate::rejects;
use mains_state::{CallOrigin, CallPolicy, Canister, State};
use mains_types::{CanisterId, Cycles, Principal, Reject, UnixNanos};

/// Whether a client's call that costs so much to take in is within a canister's limits.
///
/// # Errors
/// It is not.
pub(crate) fn check(canister: &Canister, now: UnixNanos, sender: &Principal, fee: Cycles) -> Result<(), Reject> {
    let Some(policy) = policy_for(canister, sender) else { return Ok(()) };
    policy.check(now, sender, fee).map_err(|exhausted| rejects::call_policy(&canister.id, policy, exhausted, now))
}

/// Whether a call that was taken in may begin: others may have used up the limit meanwhile.
///
/// # Errors
/// It may not.
pub(crate) fn check_begin(canister: &Canister, now: UnixNanos, origin: &CallOrigin) -> Result<(), Reject> {
    let CallOrigin::Ingress { sender, .. } = origin else { return Ok(()) };
    let Some(policy) = policy_for(canister, sender) else { return Ok(()) };
    policy.check_begin(now).map_err(|exhausted| rejects::call_policy(&canister.id, policy, exhausted, now))
}

/// Counts a client's call that was taken in, and what that cost.
pub(crate) fn admit(state: &mut State, id: &CanisterId, sender: &Principal, fee: Cycles) {
    let now = state.time;
    if state.canister(id).is_some_and(|canister| policy_for(canister, sender).is_some())
        && let Some(policy) = state.canister_mut(id).and_then(|canister| canister.call_policy.as_mut())
    {
        policy.admit(now, sender, fee);
    }
}

/// Counts what a canister paid for a message with this origin.
pub(crate) fn spend(state: &mut State, id: &CanisterId, origin: &CallOrigin, cost: Cycles) {
    let now = state.time;
    if state.canister(id).is_some_and(|canister| counts(canister, origin))
        && let Some(policy) = state.canister_mut(id).and_then(|canister| canister.call_policy.as_mut())
    {
        policy.spend(now, cost);
    }
}

/// The policy that a client is held to.
fn policy_for<'a>(canister: &'a Canister, sender: &Principal) -> Option<&'a CallPolicy> {
    canister.call_policy.as_deref().filter(|_| !canister.is_controlled_by(sender))
}

/// Whether a message began with the call of a client that is held to the policy: it is that call, or one that the canister made
/// to itself for it.
fn counts<'a>(canister: &'a Canister, mut origin: &'a CallOrigin) -> bool {
    if canister.call_policy.is_none() {
        return false;
    }
    // Ends: who calls was there before the call.
    loop {
        origin = match origin {
            CallOrigin::Ingress { sender, .. } => return !canister.is_controlled_by(sender),
            CallOrigin::Canister { sender, callback, .. } if *sender == canister.id => {
                let callback = canister.callbacks.get(callback);
                match callback.and_then(|callback| canister.contexts.get(&callback.context)) {
                    Some(context) => &context.origin,
                    None => return false,
                }
            }
            CallOrigin::Canister { .. } | CallOrigin::System => return false,
        };
    }
}
