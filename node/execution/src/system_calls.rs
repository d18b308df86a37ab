//! Runs one call to a built-in canister: undone if it is refused, its work charged to the canister it is about.
//!
//! A call that installs a large module runs twice. First it is looked at, and the compilation is paid for; then it waits in the
//! lane until replicas have had the time to compile, beside whatever they execute; then it is done again from its beginning, on
//! the state of that moment.

use crate::{
    calls::{self, Outcome, SystemCall},
    charges::{self, Budget},
    execute::Round,
    low_memory,
    management::{self, Work, refusal},
    run, system_canisters,
};
use mains_ledger::Resource;
use mains_state::{Accepted, CallOrigin, IngressStatus, Preparing, State, SystemMessage};
use mains_types::{CanisterId, Cycles, Height, Principal, Reject, UnixNanos};

/// Methods about a canister that do not wait while it is paused or in the lane: they read, or give it money.
const NEVER_WAIT: [&str; 7] = [
    "canister_status",
    "canister_info",
    "canister_metadata",
    "canister_metrics",
    "fetch_canister_logs",
    "deposit_cycles",
    "provisional_top_up_canister",
];

/// Runs it, unless it is about a canister whose message is paused, which counts on finding everything as it was when it began, or
/// one that another call in the lane is about, so that these calls keep their order;
/// or asks for random bytes: whoever proposed this block knew its randomness before the calls in it, so these wait until the
/// height that asked is certified.
pub(crate) fn run_or_put_off(round: &mut Round<'_>, message: SystemMessage) {
    let about = subject(&message).filter(|id| {
        let is_paused = round.state.canister(id).is_some_and(|canister| canister.paused.is_some());
        (is_paused || round.state.is_preparing(id)) && !NEVER_WAIT.contains(&message.method.as_str())
    });
    if let Some(about) = about {
        round.state.put_off(about, message);
    } else if message.callee == Principal::management_canister() && message.method == "raw_rand" {
        set_processing(&mut round.state, &message.origin);
        round.state.enqueue_random(message);
    } else {
        run(round, &message);
    }
}

/// Runs it and answers.
pub(crate) fn run(round: &mut Round<'_>, message: &SystemMessage) {
    let subject = subject(message);
    if let Some(id) = &subject {
        charges::settle_storage(&mut round.state, id);
    }
    match budget(&mut round.state, message, subject.as_ref()) {
        Ok(Some((budget, work_max))) => attempt(round, message, subject, Some(budget), work_max, None),
        Ok(None) => attempt(round, message, subject, None, Work::default(), None),
        Err(reject) => calls::respond(&mut round.state, &message.origin, Err(reject), message.cycles),
    }
}

/// Runs a call whose module replicas had the time to compile, and lets those go on that waited for it.
pub(crate) fn run_prepared(round: &mut Round<'_>, preparing: Preparing) {
    let Preparing { about, message, module, reserved, .. } = preparing;
    charges::settle_storage(&mut round.state, &about);
    let budget = Budget::set_aside(&about, reserved);
    let work_max = Work { compile: 0, ..management::work_max(&message.method).unwrap_or_default() };
    attempt(round, &message, Some(about), Some(budget), work_max, Some(&module));
    round.state.unpause(&about);
}

fn attempt(
    round: &mut Round<'_>,
    message: &SystemMessage,
    subject: Option<CanisterId>,
    budget: Option<Budget>,
    work_max: Work,
    prepared: Option<&Accepted>,
) {
    let before = round.state.clone();
    let mut call = SystemCall {
        state: &mut round.state,
        engine: round.engine,
        sender: message.sender,
        origin: message.origin.clone(),
        callee: message.callee,
        method: &message.method,
        argument: &message.argument,
        cycles: message.cycles,
        random: &mut round.random,
        instructions_max: work_max.run,
        instructions_used: 0,
        compiled: 0,
        prepared,
        kept_logs: Vec::new(),
    };
    let outcome = if message.callee == Principal::management_canister() {
        management::call(&mut call)
    } else {
        system_canisters::call(&mut call)
    };
    let SystemCall { cycles, instructions_used, compiled, kept_logs, .. } = call;
    round.system_instructions = round.system_instructions.saturating_add(instructions_used).saturating_add(compiled);
    if matches!(outcome, Outcome::Reject(_) | Outcome::Prepare(..)) {
        round.state = before;
    }
    let outcome = match outcome {
        Outcome::Prepare(module, weight) => match round.state.ready_at(&module.id, weight) {
            Some(ready) => {
                let compiled = compiled.saturating_add(weight).min(work_max.compile);
                let budget = budget.expect("who installs is a controller, so that the canister pays");
                return prepare(&mut round.state, message, budget, (compiled, work_max.run), module, ready);
            }
            None => Outcome::Reject(refusal::lane_is_full()),
        },
        outcome => outcome,
    };
    for (id, lines) in kept_logs {
        let time = round.state.time;
        if let Some(canister) = round.state.canister_mut(&id) {
            canister.append_log(time, lines);
        }
    }
    if let Some(budget) = budget {
        let cost = settle(&mut round.state, budget, instructions_used, compiled.min(work_max.compile));
        run::add_cost(&mut round.state, &message.origin, cost);
    }
    match outcome {
        Outcome::Reply(reply) => calls::respond(&mut round.state, &message.origin, Ok(reply), cycles),
        Outcome::Reject(reject) => calls::respond(&mut round.state, &message.origin, Err(reject), message.cycles),
        Outcome::Later => set_processing(&mut round.state, &message.origin),
        Outcome::Prepare(..) => unreachable!("is in the lane or refused, see above"),
    }
    if let Some(id) = &subject {
        low_memory::review(&mut round.state, id);
        run::stop_if_drained(&mut round.state, id);
    }
}

/// Charges looking at a module and compiling it, and puts the call into the lane with what is set aside for running it.
fn prepare(
    state: &mut State,
    message: &SystemMessage,
    mut budget: Budget,
    (compiled, run_max): (u64, u64),
    module: Accepted,
    ready: (Height, UnixNanos),
) {
    let cost = budget.charge(state, Resource::CompileInstructions, u128::from(compiled));
    run::add_cost(state, &message.origin, cost);
    let most = charges::execution_cost(state.ledger.tariff(), run_max);
    budget.lower(state, most);
    set_processing(state, &message.origin);
    state.prepare(budget.payer(), message.clone(), module, budget.keep(), ready);
}

fn set_processing(state: &mut State, origin: &CallOrigin) {
    if let CallOrigin::Ingress { request_id, .. } = origin {
        state.set_ingress_status(request_id, IngressStatus::Processing);
    }
}

/// The canister that a management call is about.
fn subject(message: &SystemMessage) -> Option<CanisterId> {
    let is_management = message.callee == Principal::management_canister();
    is_management.then(|| management::ingress_target(&message.method, &message.argument).ok().flatten())?
}

/// Sets aside what an install or a snapshot may cost, with the instructions for running and compiling that this is; nothing
/// for other methods and for senders who will be refused anyway.
fn budget(
    state: &mut State,
    message: &SystemMessage,
    subject: Option<&CanisterId>,
) -> Result<Option<(Budget, Work)>, Reject> {
    let pays = |id: &&CanisterId| {
        state.canister(id).is_some_and(|canister| management::pays(canister, &message.sender, &message.method))
    };
    let (Some(payer), Some(work_max)) = (subject.filter(pays), management::work_max(&message.method)) else {
        return Ok(None);
    };
    let tariff = state.ledger.tariff();
    let most = charges::execution_cost(tariff, work_max.run);
    let compile = tariff.cost(Resource::CompileInstructions, u128::from(work_max.compile));
    let budget = Budget::reserve_amount(state, payer, most.saturating_add(compile))?;
    Ok(Some((budget, work_max)))
}

fn settle(state: &mut State, mut budget: Budget, instructions: u64, compiled: u64) -> Cycles {
    let execution = budget.charge_execution(state, instructions);
    let compile = budget.charge(state, Resource::CompileInstructions, u128::from(compiled));
    budget.release(state);
    execution.saturating_add(compile)
}
