//! Takes a client's call from a block into the state: into a queue, or rejected with its reason in the ingress history.
//!
//! Everything here is decided on replicated state, so all replicas decide alike. What stops a call without a trace: it was
//! seen before, or has expired, or no more requests can be remembered.

use crate::{call_policy, calls::is_built_in, charges, execute::Call, management, rejects, system_canisters::utility};
use mains_ledger::Resource;
use mains_state::{CallOrigin, Canister, IngressEntry, IngressStatus, Message, RunStatus, State, SystemMessage};
use mains_types::{
    CanisterId, Cycles, Principal, Reject,
    ids::utility_id,
    limits,
    planted::{self, Defect},
};

/// Takes one call in.
pub(crate) fn induct(state: &mut State, call: &Call) {
    let is_known = state.ingress_entry(&call.request_id).is_some() && !planted::is(Defect::DedupSkipped);
    if is_known || call.expires_at <= state.time || state.ingress_count() >= limits::INGRESS_HISTORY_MAX {
        return;
    }
    let receiver = receiver(call);
    let admitted = receiver.clone().and_then(|receiver| admit(state, call, &receiver));
    let (status, cost) = match &admitted {
        Ok(cost) => (IngressStatus::Received, *cost),
        Err(reject) => (IngressStatus::Rejected(reject.clone()), Cycles::ZERO),
    };
    let receiver = receiver.unwrap_or(call.canister_id);
    let entry = IngressEntry { sender: call.sender, receiver, expires_at: call.expires_at, status, cost, due: None };
    state.insert_ingress(call.request_id, entry);
    if admitted.is_ok() {
        queue(state, call);
    }
}

/// Whom a call is about: the callee, or for the management canister the canister that its argument names.
fn receiver(call: &Call) -> Result<CanisterId, Reject> {
    if call.canister_id == Principal::management_canister() {
        Ok(management::ingress_target(&call.method, &call.argument)?.unwrap_or(call.canister_id))
    } else {
        Ok(call.canister_id)
    }
}

/// Checks the call and charges its transport; returns what that cost.
fn admit(state: &mut State, call: &Call, receiver: &CanisterId) -> Result<Cycles, Reject> {
    if is_built_in(state, &call.canister_id) {
        has_system_room(state, &call.sender)?;
        let Some(payer) = payer(state, call, receiver) else { return Ok(Cycles::ZERO) };
        call_policy::check(payer, state.time, &call.sender, fee(state, call.bytes))?;
        let payer = payer.id;
        let cost = charge_affordable(state, &payer, call.bytes);
        call_policy::admit(state, &payer, &call.sender, cost);
        return Ok(cost);
    }
    let canister = state.canister(receiver).ok_or_else(|| rejects::not_found(receiver))?;
    ready_for_calls(canister)?;
    has_room(canister)?;
    call_policy::check(canister, state.time, &call.sender, fee(state, call.bytes))?;
    let cost = charge(state, receiver, call.bytes)?;
    call_policy::admit(state, receiver, &call.sender, cost);
    Ok(cost)
}

/// Who pays for a call to a built-in canister: the canister that it is about, if the sender may make it pay.
fn payer<'a>(state: &'a State, call: &Call, receiver: &CanisterId) -> Option<&'a Canister> {
    if call.canister_id == utility_id() {
        let about = utility::subject(&call.method, &call.argument)?;
        return state.canister(&about).filter(|canister| canister.is_controlled_by(&call.sender));
    }
    state.canister(receiver).filter(|canister| management::pays(canister, &call.sender, &call.method))
}

/// Whether a canister runs and has code.
///
/// # Errors
/// Why it takes no calls.
pub(crate) fn ready_for_calls(canister: &Canister) -> Result<(), Reject> {
    match canister.status {
        RunStatus::Running if canister.code.is_some() => Ok(()),
        RunStatus::Running => Err(rejects::no_module(&canister.id)),
        RunStatus::Stopping(_) => Err(rejects::stopping(&canister.id)),
        RunStatus::Stopped => Err(rejects::stopped(&canister.id)),
    }
}

/// Whether one more message fits in a canister's queue.
///
/// # Errors
/// It does not.
pub(crate) fn has_room(canister: &Canister) -> Result<(), Reject> {
    let is_full =
        canister.queue.len() >= limits::CANISTER_QUEUE_MAX || canister.queue_bytes >= limits::CANISTER_QUEUE_BYTES_MAX;
    if is_full { Err(rejects::queue_full(&canister.id)) } else { Ok(()) }
}

/// Whether one more call of this sender to a built-in canister finds room.
///
/// # Errors
/// It does not.
pub(crate) fn has_system_room(state: &State, sender: &Principal) -> Result<(), Reject> {
    if state.system_queue.has_room(sender) { Ok(()) } else { Err(rejects::share_full(sender)) }
}

/// What taking in a message of this many bytes costs at most.
pub(crate) fn fee(state: &State, bytes: u64) -> Cycles {
    let tariff = state.ledger.tariff();
    let message = tariff.cost(Resource::IngressMessages, 1);
    message.saturating_add(tariff.cost(Resource::IngressBytes, u128::from(bytes)))
}

fn charge(state: &mut State, id: &CanisterId, bytes: u64) -> Result<Cycles, Reject> {
    charges::require_liquid(state, id, fee(state, bytes))?;
    Ok(charge_affordable(state, id, bytes))
}

fn charge_affordable(state: &mut State, id: &CanisterId, bytes: u64) -> Cycles {
    let (_, message) = state.ledger.charge_affordable(id, Resource::IngressMessages, 1);
    let (_, bytes) = state.ledger.charge_affordable(id, Resource::IngressBytes, u128::from(bytes));
    message.saturating_add(bytes)
}

fn queue(state: &mut State, call: &Call) {
    let (request_id, sender) = (call.request_id, call.sender);
    let (method, argument) = (call.method.clone(), call.argument.clone());
    if is_built_in(state, &call.canister_id) {
        // No built-in canister asks for it.
        let origin = CallOrigin::Ingress { request_id, sender, info: None };
        let callee = call.canister_id;
        state.system_queue.push(SystemMessage { origin, sender, callee, method, argument, cycles: Cycles::ZERO });
    } else {
        let info = call.caller_info.clone();
        let message = Message::Ingress { request_id, sender, info, method, argument };
        let is_queued = state.enqueue(&call.canister_id, message);
        assert!(is_queued, "an admitted call has a receiver");
    }
}
