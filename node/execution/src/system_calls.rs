//! Runs one call to a built-in canister: undone if it is refused, its work charged to the canister it is about.

use crate::{
    calls::{self, Outcome, SystemCall},
    charges::{self, Budget},
    execute::Round,
    low_memory, management, run, system_canisters,
};
use mains_ledger::Resource;
use mains_state::{CallOrigin, IngressStatus, State, SystemMessage};
use mains_types::{CanisterId, Cycles, Principal, Reject};

/// Methods about a canister that do not wait while it is paused: they read, or give it money.
const NEVER_WAIT: [&str; 7] = [
    "canister_status",
    "canister_info",
    "canister_metadata",
    "canister_metrics",
    "fetch_canister_logs",
    "deposit_cycles",
    "provisional_top_up_canister",
];

/// Runs it, unless it is about a canister whose message is paused, which counts on finding everything as it was when it began;
/// or asks for random bytes: whoever proposed this block knew its randomness before the calls in it, so these wait until the
/// height that asked is certified.
pub(crate) fn run_or_put_off(round: &mut Round<'_>, message: SystemMessage) {
    let about = subject(&message).filter(|id| {
        let is_paused = round.state.canister(id).is_some_and(|canister| canister.paused.is_some());
        is_paused && !NEVER_WAIT.contains(&message.method.as_str())
    });
    if let Some(about) = about {
        round.state.put_off(about, message);
    } else if message.callee == Principal::management_canister() && message.method == "raw_rand" {
        if let CallOrigin::Ingress { request_id, .. } = &message.origin {
            round.state.set_ingress_status(request_id, IngressStatus::Processing);
        }
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
    let (budget, work_max) = match budget(&mut round.state, message, subject.as_ref()) {
        Ok(Some((budget, work_max))) => (Some(budget), work_max),
        Ok(None) => (None, management::Work::default()),
        Err(reject) => return calls::respond(&mut round.state, &message.origin, Err(reject), message.cycles),
    };
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
        kept_logs: Vec::new(),
    };
    let outcome = if message.callee == Principal::management_canister() {
        management::call(&mut call)
    } else {
        system_canisters::call(&mut call)
    };
    let SystemCall { cycles, instructions_used, compiled, kept_logs, .. } = call;
    round.system_instructions = round.system_instructions.saturating_add(instructions_used).saturating_add(compiled);
    if let Outcome::Reject(_) = outcome {
        round.state = before;
    }
    for (id, lines) in kept_logs {
        let time = round.state.time;
        if let Some(canister) = round.state.canister_mut(&id) {
            canister.append_log(time, lines);
        }
    }
    if let Some(budget) = budget {
        let cost = settle(&mut round.state, budget, instructions_used, compiled.min(work_max.compile));
        if let CallOrigin::Ingress { request_id, .. } = &message.origin {
            round.state.add_ingress_cost(request_id, cost);
        }
    }
    match outcome {
        Outcome::Reply(reply) => calls::respond(&mut round.state, &message.origin, Ok(reply), cycles),
        Outcome::Reject(reject) => calls::respond(&mut round.state, &message.origin, Err(reject), message.cycles),
        Outcome::Later => {
            if let CallOrigin::Ingress { request_id, .. } = &message.origin {
                round.state.set_ingress_status(request_id, IngressStatus::Processing);
            }
        }
    }
    if let Some(id) = &subject {
        low_memory::review(&mut round.state, id);
        run::stop_if_drained(&mut round.state, id);
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
) -> Result<Option<(Budget, management::Work)>, Reject> {
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
