//! Runs one call to a built-in canister: undone if it is refused, its work charged to the canister it is about.
//!
//! A call that installs a large module runs twice. First it is looked at, and the compilation is paid for; then it waits in the
//! lane until replicas have had the time to compile, beside whatever they execute; then it is done again from its beginning, on
//! the state of that moment.

use crate::{
    call_policy,
    calls::{self, Outcome, SystemCall},
    charges::{self, Budget},
    execute::Round,
    hooks::Steps,
    low_memory,
    management::{self, Work as Most, refusal},
    run,
    slices::{self, Progress},
    system_canisters,
};
use mains_ledger::Resource;
use mains_state::{CallOrigin, Canister, IngressStatus, Installing, Preparing, State, SystemMessage, Work};
use mains_types::{CanisterId, Cycles, Principal, Reject, limits};

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
        round.state.system_queue.put_off(about, message);
    } else if message.callee == Principal::management_canister() && message.method == "raw_rand" {
        set_processing(&mut round.state, &message.origin);
        round.state.system_queue.push_random(round.state.height, message);
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
        Ok(None) => (None, Most::default()),
        Err(reject) => return calls::respond(&mut round.state, &message.origin, Err(reject), message.cycles),
    };
    let progress = Progress::begin(round, subject.as_ref().unwrap_or(&message.callee));
    let steps = Steps::first(progress.beginning, None);
    attempt(round, message, Attempt { subject, budget, work_max, used: 0, steps, progress });
}

/// Runs a call whose module replicas had the time to compile, and lets those go on that waited for it.
pub(crate) fn run_prepared(round: &mut Round<'_>, preparing: Preparing) {
    let Preparing { about, message, module, reserved, .. } = preparing;
    charges::settle_storage(&mut round.state, &about);
    let progress = Progress::begin(round, &about);
    let steps = Steps::first(progress.beginning, Some(module));
    attempt(round, &message, Attempt::paid(&message, about, Budget::set_aside(&about, reserved), 0, steps, progress));
    if round.state.canister(&about).is_none_or(|canister| canister.paused.is_none()) {
        round.state.unpause(&about);
    }
}

/// Gives a paused call its next slice.
pub(crate) fn resume(
    round: &mut Round<'_>,
    about: &CanisterId,
    message: &SystemMessage,
    installing: Installing,
    budget: Budget,
    progress: &Progress,
) {
    let used = installing.instructions;
    let steps = Steps::resumed(progress.beginning, installing, progress.allowance());
    attempt(round, message, Attempt::paid(message, *about, budget, used, steps, progress.clone()));
}

/// One slice of a call.
struct Attempt {
    subject: Option<CanisterId>,
    budget: Option<Budget>,
    /// The most that it may use in all; nothing for compiling if that is paid.
    work_max: Most,
    /// What hooks that have ended have used.
    used: u64,
    steps: Steps,
    progress: Progress,
}

impl Attempt {
    /// Of a call whose compilation is paid.
    fn paid(
        message: &SystemMessage,
        about: CanisterId,
        budget: Budget,
        used: u64,
        steps: Steps,
        progress: Progress,
    ) -> Self {
        let work_max = Most { compile: 0, ..management::work_max(&message.method).unwrap_or_default() };
        Self { subject: Some(about), budget: Some(budget), work_max, used, steps, progress }
    }
}

fn attempt(round: &mut Round<'_>, message: &SystemMessage, attempt: Attempt) {
    let Attempt { subject, budget, work_max, used, steps, progress } = attempt;
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
        instructions_used: used,
        compiled: 0,
        compiled_here: 0,
        known: 0,
        steps,
        kept_logs: Vec::new(),
    };
    let outcome = if message.callee == Principal::management_canister() {
        management::call(&mut call)
    } else {
        system_canisters::call(&mut call)
    };
    let SystemCall { cycles, instructions_used, compiled, compiled_here, known, steps, kept_logs, .. } = call;
    round.compiled = round.compiled.saturating_add(compiled_here);
    if progress.is_first() {
        // Later slices are those of paused messages, of which every round has one.
        let ran = if matches!(outcome, Outcome::Pause) { limits::SLICE_INSTRUCTIONS } else { instructions_used };
        round.system_instructions = round.system_instructions.saturating_add(ran).saturating_add(compiled - known);
    }
    let outcome = match outcome {
        Outcome::Reply(_) | Outcome::Later => match take_storage(&mut round.state, &before, subject.as_ref()) {
            Ok(()) => outcome,
            Err(reject) => Outcome::Reject(reject),
        },
        outcome => outcome,
    };
    if matches!(outcome, Outcome::Reject(_) | Outcome::Prepare(..) | Outcome::Pause) {
        // Nothing of what ran on a draft but this: live instances hold what they ran last.
        let awake = std::mem::take(&mut round.state.awake);
        round.state = before;
        round.state.awake = awake;
    }
    let paid = "who installs is a controller, so that the canister pays";
    let outcome = match outcome {
        Outcome::Prepare(module, weight) => {
            let bytes = message.bytes() + module.wasm.len() as u64;
            if round.state.has_lane_room(&message.sender, bytes, weight) {
                let (state, mut budget) = (&mut round.state, budget.expect(paid));
                let about = budget.payer();
                charge_compiling(state, message, &mut budget, compiled.saturating_add(weight), work_max);
                set_processing(state, &message.origin);
                return state.prepare(about, message.clone(), module, budget.keep(), weight);
            }
            Outcome::Reject(refusal::lane_is_full())
        }
        Outcome::Pause => {
            let mut budget = budget.expect(paid);
            let about = budget.payer();
            charge_compiling(&mut round.state, message, &mut budget, compiled, work_max);
            let work = (Work::Install(message.clone()), steps.keep(instructions_used));
            return slices::pause_installing(round, &about, work, budget, &progress);
        }
        outcome => outcome,
    };
    for (id, lines) in kept_logs {
        let time = round.state.time;
        if let Some(canister) = round.state.canister_mut(&id) {
            canister.append_log(time, lines);
        }
    }
    if let Some(budget) = budget {
        let payer = budget.payer();
        let cost = settle(&mut round.state, budget, instructions_used, compiled.min(work_max.compile));
        run::add_cost(&mut round.state, &payer, &message.origin, cost);
    }
    match outcome {
        Outcome::Reply(reply) => calls::respond(&mut round.state, &message.origin, Ok(reply), cycles),
        Outcome::Reject(reject) => calls::respond(&mut round.state, &message.origin, Err(reject), message.cycles),
        Outcome::Later => set_processing(&mut round.state, &message.origin),
        Outcome::Prepare(..) | Outcome::Pause => unreachable!("goes on later or is refused, see above"),
    }
    if let Some(id) = &subject {
        low_memory::review(&mut round.state, id);
        run::stop_if_drained(&mut round.state, id);
    }
}

/// Takes storage of the subnet for what a call made of its subject.
fn take_storage(state: &mut State, before: &State, subject: Option<&CanisterId>) -> Result<(), Reject> {
    let bytes = |state: &State| subject.and_then(|id| state.canister(id)).map_or(0, Canister::memory_bytes);
    let more = bytes(state).saturating_sub(bytes(before));
    state.claim_storage(more).map_err(|left| refusal::no_storage(more, left))
}

/// Charges looking at a module and compiling it, and keeps what running it may cost set aside.
fn charge_compiling(state: &mut State, message: &SystemMessage, budget: &mut Budget, compiled: u64, work_max: Most) {
    if work_max.compile > 0 {
        let compiled = compiled.min(work_max.compile);
        let cost = budget.charge(state, Resource::CompileInstructions, u128::from(compiled));
        run::add_cost(state, &budget.payer(), &message.origin, cost);
    }
    let most = charges::execution_cost(state.ledger.tariff(), work_max.run);
    budget.lower(state, most);
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
) -> Result<Option<(Budget, Most)>, Reject> {
    let pays = |id: &&CanisterId| {
        state.canister(id).is_some_and(|canister| management::pays(canister, &message.sender, &message.method))
    };
    let (Some(payer), Some(work_max)) = (subject.filter(pays), management::work_max(&message.method)) else {
        return Ok(None);
    };
    if let Some(canister) = state.canister(payer) {
        call_policy::check_begin(canister, state.time, &message.origin)?;
    }
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
