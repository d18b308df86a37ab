//! Responses: the callback that waits for one, the cleanup after a callback that trapped, and the end of the call at work.

use crate::{
    calls::{respond, return_cycles},
    charges::Budget,
    engine::{Entry, Trap},
    execute::Round,
    rejects, run,
    run::{Job, add_cost, attempt},
    system_api::Mode,
    traps,
};
use mains_ledger::{Account, Resource};
use mains_state::{CallContext, CallOrigin, Callback, Response, State};
use mains_types::{CanisterId, Cycles, Principal, Reject, limits};

/// Delivers a response to the canister that waits for it.
pub(crate) fn deliver(round: &mut Round<'_>, id: &CanisterId, response: Response) {
    let Some(callback) = round.state.take_callback(id, response.callback) else {
        // A best-effort call that stopped waiting.
        return return_cycles(&mut round.state, id, response.refund);
    };
    let mut budget = Budget::set_aside(id, callback.reserved);
    round.state.ledger.release(&Account::Canister(*id), response.refund);
    let bytes = response.result.as_ref().map_or_else(|reject| reject.message.len(), |reply| reply.len());
    let bytes = bytes.min(limits::PAYLOAD_BYTES_MAX) as u128;
    let mut spent = Spent { cost: budget.charge(&mut round.state, Resource::CallBytes, bytes), ..Spent::default() };
    let canister = round.state.canister(id);
    let context = canister.and_then(|canister| canister.contexts.get(&callback.context)).cloned();
    let has_code = canister.is_some_and(|canister| canister.code.is_some());
    let Some(context) = context.filter(|_| has_code) else {
        budget.release(&mut round.state);
        return forget(&mut round.state, id, &callback);
    };
    let (result, trap) = run_callback(round, id, &callback, &context, response, &mut budget, &mut spent);
    budget.release(&mut round.state);
    finish(&mut round.state, id, callback.context, result, trap.as_ref(), &spent);
}

/// What a context owes its caller now: nothing, or the result with the cycles that go back.
pub(crate) fn answer(
    id: &CanisterId,
    context: &mut CallContext,
    response: Option<Result<Vec<u8>, String>>,
    trap: Option<&Trap>,
) -> Option<(Result<Vec<u8>, Reject>, Cycles)> {
    if context.responded {
        return None;
    }
    let result = match response {
        Some(response) => response.map_err(rejects::by_canister),
        None if context.outstanding > 0 => return None,
        None => Err(trap.map_or_else(|| rejects::did_not_reply(id), |trap| traps::reject(id, trap))),
    };
    context.responded = true;
    Some((result, std::mem::take(&mut context.available)))
}

#[derive(Default)]
struct Spent {
    cost: Cycles,
    instructions: u64,
}

impl Spent {
    fn run(&mut self, state: &mut State, budget: &mut Budget, instructions: u64) {
        self.cost = self.cost.saturating_add(budget.charge_execution(state, instructions));
        self.instructions = self.instructions.saturating_add(instructions);
    }
}

fn run_callback(
    round: &mut Round<'_>,
    id: &CanisterId,
    callback: &Callback,
    context: &CallContext,
    response: Response,
    budget: &mut Budget,
    spent: &mut Spent,
) -> (Option<run::Committed>, Option<Trap>) {
    let (caller, deadline) = match context.origin {
        CallOrigin::Ingress { sender, .. } => (sender, None),
        CallOrigin::Canister { sender, deadline, .. } => (sender, deadline),
        CallOrigin::System => (Principal::management_canister(), None),
    };
    let (mode, continuation, argument, reject) = match response.result {
        Ok(reply) => (Mode::Reply, callback.on_reply, reply.into_vec(), None),
        Err(reject) => (Mode::Reject, callback.on_reject, Vec::new(), Some(reject)),
    };
    let job = Job {
        argument,
        reject: reject.clone(),
        deadline,
        responded: context.responded,
        available: context.available,
        refunded: response.refund,
        call_instructions: context.instructions,
        ..Job::new(mode, Entry::Callback(continuation), caller)
    };
    let (result, instructions) = attempt(round, id, job, callback.context);
    spent.run(&mut round.state, budget, instructions);
    let trap = match result {
        Ok(committed) => return (Some(committed), None),
        Err(trap) => trap,
    };
    let Some(cleanup) = callback.on_cleanup else { return (None, Some(trap)) };
    let job = Job {
        reject,
        responded: context.responded,
        call_instructions: context.instructions.saturating_add(instructions),
        instructions: limits::CLEANUP_INSTRUCTIONS_MAX,
        ..Job::new(Mode::Cleanup, Entry::Callback(cleanup), caller)
    };
    let (_, instructions) = attempt(round, id, job, callback.context);
    spent.run(&mut round.state, budget, instructions);
    (None, Some(trap))
}

/// Brings the context up to date and answers if the call has ended.
fn finish(
    state: &mut State,
    id: &CanisterId,
    context_id: u64,
    result: Option<run::Committed>,
    trap: Option<&Trap>,
    spent: &Spent,
) {
    let Some(canister) = state.canister_mut(id) else { return };
    let Some(mut context) = canister.contexts.remove(&context_id) else { return };
    let (response, accepted, calls, fees) = match result {
        Some(run) => (run.response, run.accepted, run.calls, run.fees),
        None => (None, Cycles::ZERO, 0, Cycles::ZERO),
    };
    let cost = spent.cost.saturating_add(fees);
    context.available = context.available.saturating_sub(accepted);
    context.outstanding = context.outstanding.saturating_sub(1).saturating_add(calls);
    context.instructions = context.instructions.saturating_add(spent.instructions);
    context.cost = context.cost.saturating_add(cost);
    let answer = answer(id, &mut context, response, trap);
    if context.outstanding > 0 {
        canister.contexts.insert(context_id, context.clone());
    }
    add_cost(state, &context.origin, cost);
    if let Some((result, refund)) = answer {
        respond(state, &context.origin, result, refund);
    }
}

/// A response whose canister lost its code: nothing runs, the context has one call less.
fn forget(state: &mut State, id: &CanisterId, callback: &Callback) {
    let Some(canister) = state.canister_mut(id) else { return };
    let Some(mut context) = canister.contexts.remove(&callback.context) else { return };
    context.outstanding = context.outstanding.saturating_sub(1);
    let answer = answer(id, &mut context, None, None);
    if context.outstanding > 0 {
        canister.contexts.insert(callback.context, context.clone());
    }
    if let Some((result, refund)) = answer {
        respond(state, &context.origin, result, refund);
    }
}
