//! The utility canister: what the network costs, who decides about it, who is paid for it, and what owners should know.
//! Canisters may ask it as clients do. Spec: `specs/interface.md`, "System canisters".

mod types;

use super::blocks::members;
use crate::{
    calls::SystemCall,
    charges,
    execute::Call,
    management::{codec, refusal},
};
use candid::Principal;
use mains_ledger::{Footprint, Health, Resource, tariff::Amendment};
use mains_state::{CallPolicy, Canister, State, epochs::Settled, proposals::Nodes};
use mains_types::{CanisterId, Reject};
use types::{
    Answer, CallPolicyArgument, CallPolicyReply, ChangeArgument, EarningsReply, HealthReply, ProposalReply,
    ScheduledReply, SettlementReply, SettlementsArgument, TariffReply,
};

/// The method of controllers.
const SET_CALL_POLICY: &str = "set_call_policy";

/// Settlements and tariffs that one answer holds: with 128 members each, far below what a reply may have.
const ROWS_MAX: usize = 60;

/// How a canister's money is doing; `None` if there is no such canister.
pub fn health(state: &State, id: &CanisterId) -> Option<Health> {
    let canister = state.canister(id)?;
    let footprint = Footprint {
        memory_bytes: canister.memory_bytes(),
        compute_allocation_percent: canister.settings.compute_allocation,
        freezing_threshold_s: canister.settings.freezing_threshold_seconds,
    };
    let nothing = mains_ledger::CanisterAccount::default();
    let account = state.ledger.canister(id).unwrap_or(&nothing);
    Some(Health::of(account, state.ledger.period(), state.ledger.tariff(), &footprint))
}

/// How many nodes each operator runs: what its vote weighs.
fn nodes(state: &State) -> Nodes {
    let mut nodes = Nodes::new();
    for node in state.subnet.nodes.keys() {
        if let Some(operator) = state.subnet.operators.get(node) {
            *nodes.entry(*operator).or_default() += 1;
        }
    }
    nodes
}

/// Whether a client's call is worth a place in a block: operators change tariffs, controllers limit calls of their canisters, and
/// queries are answered as queries.
///
/// # Errors
/// It is not.
pub(crate) fn inspect(state: &State, call: &Call) -> Result<(), Reject> {
    if call.method == SET_CALL_POLICY {
        let (args,) = codec::decode::<(CallPolicyArgument,)>(&call.method, &call.argument)?;
        return controlled(state, &args.canister_id, &call.sender).map(|_| ()).map_err(refusal::payload);
    }
    if nodes(state).contains_key(&call.sender) {
        Ok(())
    } else {
        Err(refusal::payload(
            "Only operators of nodes change tariffs; everything else here but set_call_policy is a query.",
        ))
    }
}

/// The canister that a client's call is about, which pays for it if its controller sent it.
pub(crate) fn subject(method: &str, argument: &[u8]) -> Option<CanisterId> {
    let decode = || codec::decode::<(CallPolicyArgument,)>(method, argument).ok();
    (method == SET_CALL_POLICY).then(decode).flatten().map(|(args,)| args.canister_id)
}

fn controlled<'a>(state: &'a State, id: &CanisterId, sender: &Principal) -> Result<&'a Canister, String> {
    let canister = state.canister(id).ok_or_else(|| format!("There is no canister {id}."))?;
    if canister.is_controlled_by(sender) { Ok(canister) } else { Err(format!("{sender} is no controller of {id}.")) }
}

/// Answers a method that changes something; `None` for any other.
pub(super) fn call(call: &mut SystemCall<'_>) -> Option<Result<Vec<u8>, Reject>> {
    Some(match call.method {
        "propose_tariff" => codec::decode(call.method, call.argument).map(|args| codec::encode(&propose(call, args))),
        "vote" => codec::decode(call.method, call.argument).map(|args| codec::encode(&vote(call, args))),
        SET_CALL_POLICY => {
            codec::decode(call.method, call.argument).map(|(args,)| codec::encode(&set_call_policy(call, args)))
        }
        _ => return None,
    })
}

fn propose(call: &mut SystemCall<'_>, (change, reason): (ChangeArgument, String)) -> Answer<u64> {
    let amendment = Amendment::try_from(change)?;
    let nodes = nodes(call.state);
    let (tariff, epoch) = (call.state.ledger.tariff().clone(), call.state.epochs.number());
    let made = call.state.proposals.propose(call.sender, amendment, reason, &tariff, epoch, &nodes);
    made.map_err(|error| error.to_string())
}

fn vote(call: &mut SystemCall<'_>, (id, is_for): (u64, bool)) -> Answer<()> {
    let nodes = nodes(call.state);
    let epoch = call.state.epochs.number();
    let counted = call.state.proposals.vote(id, call.sender, is_for, epoch, &nodes);
    counted.map_err(|error| error.to_string())
}

fn set_call_policy(call: &mut SystemCall<'_>, args: CallPolicyArgument) -> Answer<()> {
    let (id, state) = (args.canister_id, &mut *call.state);
    let before = controlled(state, &id, &call.sender)?.call_policy.clone();
    let cycles = args.cycles_per_hour.map(|cycles| codec::cycles("cycles_per_hour", &cycles));
    let cycles = cycles.transpose().map_err(|reject| reject.message)?;
    let calls = args.calls_per_caller_per_hour;
    let mut policy = before.clone().unwrap_or_default();
    policy.set(cycles, calls);
    let policy = (cycles.is_some() || calls.is_some()).then_some(policy);
    let bytes = |policy: &Option<Box<CallPolicy>>| policy.as_ref().map_or(0, |policy| policy.bytes());
    let more = bytes(&policy).saturating_sub(bytes(&before));
    state.claim_storage(more).map_err(|left| refusal::no_storage(more, left).message)?;
    // Storage is paid by the bytes that there were.
    charges::settle_storage(state, &id);
    if let Some(canister) = state.canister_mut(&id) {
        canister.call_policy = policy;
    }
    Ok(())
}

/// Answers a query.
pub(super) fn query(state: &State, method: &str, argument: &[u8]) -> Option<Result<Vec<u8>, Reject>> {
    Some(match method {
        "tariff" => nothing(method, argument).map(|()| codec::encode(&TariffReply::of(state.ledger.tariff()))),
        "tariffs" => nothing(method, argument).map(|()| {
            let newest = state.ledger.tariffs().rev().take(ROWS_MAX);
            codec::encode(&newest.map(TariffReply::of).collect::<Vec<_>>())
        }),
        "announced_tariff" => nothing(method, argument).map(|()| codec::encode(&announced(state))),
        "proposals" => nothing(method, argument).map(|()| {
            let nodes = nodes(state);
            let newest = state.proposals.iter().rev();
            codec::encode(&newest.map(|proposal| ProposalReply::of(proposal, &nodes)).collect::<Vec<_>>())
        }),
        "cost" => codec::decode(method, argument).map(|(uses,)| codec::encode(&cost(state, uses))),
        "settlements" => codec::decode(method, argument).map(|(args,)| codec::encode(&settlements(state, &args))),
        "earnings" => codec::decode(method, argument).map(|(operator,)| codec::encode(&earnings(state, &operator))),
        "member_blocks" => {
            codec::decode(method, argument).map(|(args,)| codec::encode(&members::member_blocks(state, &args)))
        }
        "call_policy" => codec::decode(method, argument).map(|(id,): (CanisterId,)| {
            let policy = state.canister(&id).and_then(|canister| canister.call_policy.as_deref());
            codec::encode(&policy.map(|policy| CallPolicyReply::of(policy, state.time)))
        }),
        "alerts" => codec::decode(method, argument).map(|(id,)| {
            let health = health(state, &id).map(|health| HealthReply::of(&health));
            codec::encode(&health)
        }),
        _ => return None,
    })
}

fn nothing(method: &str, argument: &[u8]) -> Result<(), Reject> {
    codec::decode::<()>(method, argument)
}

fn announced(state: &State) -> Option<ScheduledReply> {
    let (proposal, after) = state.proposals.announced()?;
    let tariff = state.ledger.tariff().amended(&proposal.amendment, state.height.next()).ok()?;
    Some(ScheduledReply { proposal: proposal.id, in_force_after_epoch: after, tariff: TariffReply::of(&tariff) })
}

/// What so much of these resources costs at most, together.
fn cost(state: &State, uses: Vec<(String, candid::Nat)>) -> Answer<candid::Nat> {
    let tariff = state.ledger.tariff();
    let mut total = mains_types::Cycles::ZERO;
    for (name, quantity) in uses.into_iter().take(Resource::COUNT) {
        let resource = Resource::from_name(&name).ok_or_else(|| format!("there is no resource {name:?}"))?;
        let quantity = u128::try_from(&quantity.0).unwrap_or(u128::MAX);
        total = total.saturating_add(tariff.cost(resource, quantity));
    }
    Ok(codec::nat(total))
}

/// Newest first, up to the epoch that is asked for.
fn settlements(state: &State, args: &SettlementsArgument) -> Vec<SettlementReply> {
    let count = args.count.map_or(ROWS_MAX, |count| count as usize).min(ROWS_MAX);
    let newest = args.up_to_epoch.unwrap_or(u64::MAX);
    let wanted = state.epochs.settled().rev().filter(|settled| settled.epoch <= newest);
    wanted.take(count).map(SettlementReply::of).collect()
}

fn earnings(state: &State, operator: &Principal) -> EarningsReply {
    let epochs = state.epochs.settled().rev();
    let of = |settled: &Settled| settled.nodes.values().any(|earned| earned.operator == *operator);
    let accrued = state.ledger.balance(&mains_ledger::Account::Operator(*operator));
    EarningsReply {
        operator: *operator,
        nodes: nodes(state).get(operator).copied().unwrap_or(0),
        accrued: codec::nat(accrued),
        epochs: epochs.filter(|settled| of(settled)).map(|settled| types::EpochReply::of(settled, operator)).collect(),
    }
}

#[cfg(test)]
mod tests;
