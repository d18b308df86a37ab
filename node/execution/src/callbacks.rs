//! Responses: the callback that waits for one, the cleanup after a callback that trapped, and the end of the call at work.

use crate::{
    calls::{respond, return_cycles},
    charges::Budget,
    engine::{Entry, Trap},
    execute::Round,
    rejects, run,
    run::{Job, add_cost, attempt},
    slices::{self, Progress},
    system_api::Mode,
    traps,
};
use mains_ledger::{Account, Resource};
use mains_state::{CallContext, CallOrigin, Callback, Response, State, Work};
use mains_types::{
    CanisterId, Cycles, Principal, Reject, limits,
    planted::{self, Defect},
};
use std::sync::Arc;

const _: () = assert!(limits::CLEANUP_INSTRUCTIONS_MAX <= limits::SLICE_INSTRUCTIONS);

/// Delivers a response to the canister that waits for it.
pub(crate) fn deliver(round: &mut Round<'_>, id: &CanisterId, response: Response) {
    let Some(callback) = round.state.take_callback(id, response.callback) else {
        // A best-effort call that stopped waiting.
        return return_cycles(&mut round.state, id, response.refund);
    };
    let mut budget = Budget::set_aside(id, callback.reserved);
    round.state.ledger.release(&Account::Canister(*id), response.refund);
    if planted::is(Defect::RefundDoubled) {
        round.state.ledger.release(&Account::Canister(*id), response.refund);
    }
    let bytes = response.result.as_ref().map_or_else(|reject| reject.message.len(), |reply| reply.len());
    let bytes = bytes.min(limits::PAYLOAD_BYTES_MAX) as u128;
    let cost = budget.charge(&mut round.state, Resource::CallBytes, bytes);
    let progress = Progress::begin(round, id);
    begin(round, id, callback, response, budget, cost, &progress);
}

/// Runs the callback for a response that was delivered, now or in an earlier round.
pub(crate) fn begin(
    round: &mut Round<'_>,
    id: &CanisterId,
    callback: Callback,
    response: Response,
    mut budget: Budget,
    cost: Cycles,
    progress: &Progress,
) {
    let canister = round.state.canister(id);
    let context = canister.and_then(|canister| canister.contexts.get(&callback.context)).cloned();
    let has_code = canister.is_some_and(|canister| canister.code.is_some());
    let Some(context) = context.filter(|_| has_code) else {
        budget.release(&mut round.state);
        return forget(&mut round.state, id, &callback);
    };
    let (number, refund) = (response.callback, response.refund);
    let (argument, reject) = match response.result {
        Ok(reply) => (Arc::new(reply.into_vec()), None),
        Err(reject) => (Arc::default(), Some(reject)),
    };
    let delivery = Delivery { callback: &callback, context: &context, argument, reject, refund };
    let mut spent = Spent { cost, ..Spent::default() };
    let Some((result, trap)) = run_callback(round, id, &delivery, progress, &mut budget, &mut spent) else {
        let Delivery { argument, reject, .. } = delivery;
        let result = reject.map_or_else(|| Ok(Arc::unwrap_or_clone(argument).into()), Err);
        let response = Response { callback: number, result, refund };
        return slices::pause(round, id, Work::Callback { callback, response, cost }, budget, progress);
    };
    budget.release(&mut round.state);
    finish(&mut round.state, id, callback.context, result, trap.as_ref(), &spent);
}

/// A response with what waits for it.
struct Delivery<'a> {
    callback: &'a Callback,
    context: &'a CallContext,
    /// The reply.
    argument: Arc<Vec<u8>>,
    /// Why there is none.
    reject: Option<Reject>,
    refund: Cycles,
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

/// `None` if its slice is used up; else what it committed, or its trap, after which the cleanup has run.
fn run_callback(
    round: &mut Round<'_>,
    id: &CanisterId,
    delivery: &Delivery<'_>,
    progress: &Progress,
    budget: &mut Budget,
    spent: &mut Spent,
) -> Option<(Option<run::Committed>, Option<Trap>)> {
    let Delivery { callback, context, argument, reject, refund } = delivery;
    let (caller, deadline) = match context.origin {
        CallOrigin::Ingress { sender, .. } => (sender, None),
        CallOrigin::Canister { sender, deadline, .. } => (sender, deadline),
        CallOrigin::System => (Principal::management_canister(), None),
    };
    let (mode, continuation) = match reject {
        None => (Mode::Reply, callback.on_reply),
        Some(_) => (Mode::Reject, callback.on_reject),
    };
    let job = Job {
        caller_info: context.origin.caller_info().cloned(),
        argument: argument.clone(),
        reject: reject.clone(),
        deadline,
        responded: context.responded,
        available: context.available,
        refunded: *refund,
        call_instructions: context.instructions,
        ..Job::new(mode, Entry::Callback(continuation), caller)
    };
    let (result, instructions) = attempt(round, id, job, callback.context, progress)?;
    spent.run(&mut round.state, budget, instructions);
    let trap = match result {
        Ok(committed) => return Some((Some(committed), None)),
        Err(trap) => trap,
    };
    let Some(cleanup) = callback.on_cleanup else { return Some((None, Some(trap))) };
    let job = Job {
        caller_info: context.origin.caller_info().cloned(),
        reject: reject.clone(),
        responded: context.responded,
        call_instructions: context.instructions.saturating_add(instructions),
        instructions: limits::CLEANUP_INSTRUCTIONS_MAX,
        ..Job::new(Mode::Cleanup, Entry::Callback(cleanup), caller)
    };
    // A run of its own that begins now, in the callback's instance; one slice is enough for it.
    let progress = Progress::begin(round, id).awake();
    let ended = attempt(round, id, job, callback.context, &progress);
    let (_, instructions) = ended.expect("a cleanup may not use more than a slice");
    spent.run(&mut round.state, budget, instructions);
    Some((None, Some(trap)))
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
    add_cost(state, id, &context.origin, cost);
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
