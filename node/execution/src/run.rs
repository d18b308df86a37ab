//! Runs one message of a canister's queue: sets money aside, runs, commits or undoes, charges, answers.

use crate::{
    call_policy, callbacks,
    calls::{self, respond},
    charges::{self, Budget},
    engine::{Entry, Ran, Run, Trap},
    execute::Round,
    induction, low_memory, rejects,
    slices::{self, Progress},
    system_api::{CallPrices, Effects, Inputs, Mode, Price, SystemApi},
    traps,
};
use mains_ledger::{Account, Resource};
use mains_state::{
    CallContext, CallOrigin, CallerInfo, Canister, Code, IngressStatus, Message, RunName, RunStatus, State, Task, Work,
    canister::memories_bytes, snapshot::HookStatus,
};
use mains_types::{CanisterId, Cycles, Principal, Reject, UnixNanos, limits};
use std::sync::Arc;

/// The empty Candid sequence: what `stop_canister` answers.
const EMPTY_REPLY: &[u8] = b"DIDL\0\0";

/// What the exports of query methods begin with.
const QUERY_PREFIX: &str = "canister_query ";

/// How long the timer of a frozen canister waits for its next try: one that waits costs no blocks.
const FROZEN_TIMER_NANOS: u64 = 60 * UnixNanos::SECOND;

/// Runs a message of this canister.
pub(crate) fn message(round: &mut Round<'_>, id: &CanisterId, message: Message) {
    charges::settle_storage(&mut round.state, id);
    // The hook itself does not: where it cannot be paid it would be queued again at once.
    let reviews_memory = message != Message::Task(Task::LowMemory);
    match message {
        Message::Ingress { request_id, sender, info, method, argument } => {
            let origin = CallOrigin::Ingress { request_id, sender, info };
            call(round, id, origin, method, argument, Cycles::ZERO);
        }
        Message::Request { sender, callback, method, argument, cycles, deadline } => {
            let origin = CallOrigin::Canister { sender, callback, deadline };
            call(round, id, origin, method, argument, cycles);
        }
        Message::Response(response) => callbacks::deliver(round, id, response),
        Message::Task(task) => run_task(round, id, task),
    }
    if reviews_memory {
        low_memory::review(&mut round.state, id);
    }
    stop_if_drained(&mut round.state, id);
}

/// Turns a stopping canister with nothing under way into a stopped one, and tells whoever waits for that.
pub(crate) fn stop_if_drained(state: &mut State, id: &CanisterId) {
    let is_due = |canister: &Canister| matches!(canister.status, RunStatus::Stopping(_)) && canister.is_drained();
    if !state.canister(id).is_some_and(is_due) {
        return;
    }
    let Some(canister) = state.canister_mut(id) else { return };
    if let RunStatus::Stopping(waiting) = std::mem::replace(&mut canister.status, RunStatus::Stopped) {
        canister.version += 1;
        for stop in waiting {
            respond(state, &stop.origin, Ok(EMPTY_REPLY.to_vec()), stop.cycles);
        }
    }
}

/// Everything about one run that its canister does not say.
pub(crate) struct Job {
    pub(crate) mode: Mode,
    pub(crate) entry: Entry,
    pub(crate) caller: Principal,
    pub(crate) caller_info: Option<CallerInfo>,
    pub(crate) argument: Arc<Vec<u8>>,
    pub(crate) reject: Option<Reject>,
    pub(crate) deadline: Option<UnixNanos>,
    pub(crate) responded: bool,
    pub(crate) available: Cycles,
    pub(crate) refunded: Cycles,
    pub(crate) call_instructions: u64,
    pub(crate) instructions: u64,
}

impl Job {
    pub(crate) fn new(mode: Mode, entry: Entry, caller: Principal) -> Self {
        Self {
            mode,
            entry,
            caller,
            caller_info: None,
            argument: Arc::default(),
            reject: None,
            deadline: None,
            responded: false,
            available: Cycles::ZERO,
            refunded: Cycles::ZERO,
            call_instructions: 0,
            instructions: limits::UPDATE_INSTRUCTIONS_MAX,
        }
    }
}

/// What a run that succeeded left to be done by its caller.
pub(crate) struct Committed {
    /// The answer, if it gave one.
    pub(crate) response: Option<Result<Vec<u8>, String>>,
    /// Cycles it accepted.
    pub(crate) accepted: Cycles,
    /// Calls it made.
    pub(crate) calls: u32,
    /// What these calls cost.
    pub(crate) fees: Cycles,
}

/// Runs a job and commits what it did, its calls under `context`; a trap leaves only log lines. Returns instructions too, or
/// `None` and no change if its slice is used up.
pub(crate) fn attempt(
    round: &mut Round<'_>,
    id: &CanisterId,
    job: Job,
    context: u64,
    progress: &Progress,
) -> Option<(Result<Committed, Trap>, u64)> {
    let canister = round.state.canister_shared(id).expect("runs on a canister that exists");
    let (mode, code) = (job.mode, canister.code.as_ref().expect("runs on a canister with code"));
    let ran = host(round, &canister, code, job, progress);
    round.state.awake.ran(id, ran.as_ref().map_or(&code.heap, |ran| &ran.heap).pages.len());
    if progress.is_first() {
        let instructions = ran.as_ref().map_or(limits::SLICE_INSTRUCTIONS, |ran| ran.instructions);
        round.instructions = round.instructions.saturating_add(instructions);
    }
    let ran = ran?;
    let instructions = ran.instructions;
    if let Err(trap) = ran.outcome {
        keep_log(&mut round.state, id, ran.api.into_log(), Some(&trap));
        return Some((Err(trap), instructions));
    }
    let effects = ran.api.into_effects();
    let balance = round.state.ledger.canister_balance(id);
    if balance.saturating_add(effects.balance) < progress.beginning.balance {
        let trap = traps::spent_meanwhile(progress.beginning.balance, balance);
        round.state.awake.sleep(id);
        keep_log(&mut round.state, id, effects.log, Some(&trap));
        return Some((Err(trap), instructions));
    }
    let (before, after) = (code.memories_bytes(), memories_bytes(ran.heap.bytes, effects.stable_pages));
    if mode != Mode::ReplicatedQuery
        && after > before
        && let Err(trap) = take_room(&mut round.state, &canister, after - before, effects.balance, mode)
    {
        // Its instance has grown, and memories do not shrink.
        round.state.awake.sleep(id);
        keep_log(&mut round.state, id, effects.log, Some(&trap));
        return Some((Err(trap), instructions));
    }
    drop(canister);
    if mode != Mode::ReplicatedQuery {
        let canister = round.state.canister_mut(id).expect("exists, see above");
        let code = canister.code.as_mut().expect("has code, see above");
        (code.heap, code.stable, code.stable_pages) = (ran.heap, effects.stable.clone(), effects.stable_pages);
        canister.version += 1;
    }
    Some((Ok(commit(&mut round.state, id, effects, context)), instructions))
}

/// A call from a client or a canister.
fn call(round: &mut Round<'_>, id: &CanisterId, origin: CallOrigin, method: String, argument: Vec<u8>, cycles: Cycles) {
    if matches!(origin, CallOrigin::Canister { deadline: Some(deadline), .. } if deadline <= round.state.time) {
        // Nobody waits for it any more.
        return respond(&mut round.state, &origin, Err(rejects::timed_out()), cycles);
    }
    let prepared = prepare(&mut round.state, id, &origin, &method, cycles);
    let (export, budget) = match prepared {
        Ok(prepared) => prepared,
        Err(reject) => return respond(&mut round.state, &origin, Err(reject), cycles),
    };
    let progress = Progress::begin(round, id);
    let job = job_of_call(&origin, export, argument, cycles);
    begin(round, id, origin, job, budget, &progress);
}

/// The run of a call's or a task's entry point.
pub(crate) fn job_of_call(origin: &CallOrigin, export: String, argument: Vec<u8>, cycles: Cycles) -> Job {
    let (caller, deadline) = match origin {
        CallOrigin::Ingress { sender, .. } => (*sender, None),
        CallOrigin::Canister { sender, deadline, .. } => (*sender, *deadline),
        CallOrigin::System => (Principal::management_canister(), None),
    };
    let mode = match origin {
        CallOrigin::System => Mode::Task,
        _ if export.starts_with(QUERY_PREFIX) => Mode::ReplicatedQuery,
        _ => Mode::Update,
    };
    let instructions = match mode {
        Mode::ReplicatedQuery => limits::QUERY_INSTRUCTIONS_MAX,
        _ => limits::UPDATE_INSTRUCTIONS_MAX,
    };
    let job = Job::new(mode, Entry::Export(export), caller);
    let caller_info = origin.caller_info().cloned();
    Job { argument: argument.into(), caller_info, deadline, available: cycles, instructions, ..job }
}

/// Finds the entry point and sets money aside.
fn prepare(
    state: &mut State,
    id: &CanisterId,
    origin: &CallOrigin,
    method: &str,
    cycles: Cycles,
) -> Result<(String, Budget), Reject> {
    let canister = state.canister(id).ok_or_else(|| rejects::not_found(id))?;
    induction::ready_for_calls(canister)?;
    call_policy::check_begin(canister, state.time, origin)?;
    let least = canister.settings.minimum_incoming_canister_call_cycles;
    let is_foreign = matches!(origin, CallOrigin::Canister { sender, .. } if sender != id);
    if is_foreign && cycles < least {
        return Err(rejects::too_few_cycles(id, cycles, least));
    }
    let code = canister.code.as_ref().ok_or_else(|| rejects::no_module(id))?;
    let exports = &code.exports;
    let (export, most) = if exports.updates.contains(method) {
        let (bytes, limit) = (code.heap.bytes, canister.settings.wasm_memory_limit);
        if limit != 0 && bytes > limit {
            return Err(traps::reject(id, &Trap::HeapLimit { bytes, limit }));
        }
        (format!("canister_update {method}"), limits::UPDATE_INSTRUCTIONS_MAX)
    } else if exports.queries.contains(method) {
        (format!("{QUERY_PREFIX}{method}"), limits::QUERY_INSTRUCTIONS_MAX)
    } else {
        return Err(rejects::no_method(id, "update", method));
    };
    Ok((export, Budget::reserve(state, id, most)?))
}

/// A heartbeat, timer or hook. A heartbeat that cannot run now is dropped; a timer is set again, because canisters count on it;
/// the low-memory hook stays ready until something happens to the canister.
fn run_task(round: &mut Round<'_>, id: &CanisterId, task: Task) {
    let now = round.state.time;
    let Some(canister) = round.state.canister_mut(id) else { return };
    let export = match task {
        Task::Heartbeat => {
            canister.heartbeat_waits = false;
            "canister_heartbeat"
        }
        Task::GlobalTimer => "canister_global_timer",
        Task::LowMemory if canister.low_memory == HookStatus::Ready => low_memory::EXPORT,
        Task::LowMemory => return,
    };
    if !canister.code.as_ref().is_some_and(|code| code.has_hook(export)) {
        return;
    }
    if canister.status != RunStatus::Running {
        return postpone(canister, task, now);
    }
    match Budget::reserve(&mut round.state, id, limits::UPDATE_INSTRUCTIONS_MAX) {
        Ok(budget) => {
            if task == Task::LowMemory
                && let Some(canister) = round.state.canister_mut(id)
            {
                canister.low_memory = HookStatus::Executed;
            }
            let progress = Progress::begin(round, id);
            let job = job_of_call(&CallOrigin::System, export.to_owned(), Vec::new(), Cycles::ZERO);
            begin(round, id, CallOrigin::System, job, budget, &progress);
        }
        Err(_) => {
            let canister = round.state.canister_mut(id).expect("exists, see above");
            postpone(canister, task, now.saturating_add_nanos(FROZEN_TIMER_NANOS));
        }
    }
}

/// Sets a timer again that could not run, unless another one was set meanwhile.
fn postpone(canister: &mut Canister, task: Task, until: UnixNanos) {
    if task == Task::GlobalTimer && canister.global_timer.is_none() {
        canister.global_timer = Some(until);
    }
}

/// Runs the first message of a call and keeps a context if it waits for others.
pub(crate) fn begin(
    round: &mut Round<'_>,
    id: &CanisterId,
    origin: CallOrigin,
    job: Job,
    mut budget: Budget,
    progress: &Progress,
) {
    let context_id = round.state.canister(id).map_or(0, |canister| canister.next_context);
    let (entry, argument, available) = (job.entry.clone(), job.argument.clone(), job.available);
    let Some((result, instructions)) = attempt(round, id, job, context_id, progress) else {
        let Entry::Export(export) = entry else { unreachable!("calls begin at exports") };
        let work = Work::Call { origin, export, argument: Arc::unwrap_or_clone(argument), cycles: available };
        return slices::pause(round, id, work, budget, progress);
    };
    let state = &mut round.state;
    let mut cost = budget.charge_execution(state, instructions);
    budget.release(state);
    let committed = match result {
        Ok(committed) => committed,
        Err(trap) => {
            add_cost(state, id, &origin, cost);
            return respond(state, &origin, Err(traps::reject(id, &trap)), available);
        }
    };
    cost = cost.saturating_add(committed.fees);
    add_cost(state, id, &origin, cost);
    let mut context = CallContext {
        origin,
        responded: false,
        available: available.saturating_sub(committed.accepted),
        outstanding: committed.calls,
        instructions,
        started_at: state.time,
        cost,
    };
    let answer = callbacks::answer(id, &mut context, committed.response, None);
    if context.outstanding > 0 {
        if let (None, CallOrigin::Ingress { request_id, .. }) = (&answer, &context.origin) {
            state.set_ingress_status(request_id, IngressStatus::Processing);
        }
        let canister = state.canister_mut(id).expect("has just run");
        canister.next_context += 1;
        canister.contexts.insert(context_id, context.clone());
    }
    if let Some((result, refund)) = answer {
        respond(state, &context.origin, result, refund);
    }
}

/// Adds to what a client's request has cost, and to what such requests have cost the canister that paid.
pub(crate) fn add_cost(state: &mut State, payer: &CanisterId, origin: &CallOrigin, cost: Cycles) {
    call_policy::spend(state, payer, origin, cost);
    if let CallOrigin::Ingress { request_id, .. } = origin {
        state.add_ingress_cost(request_id, cost);
    }
}

fn host(round: &Round<'_>, canister: &Arc<Canister>, code: &Code, job: Job, progress: &Progress) -> Option<Ran> {
    let (state, beginning) = (&round.state, &progress.beginning);
    let inputs = Inputs {
        caller: job.caller,
        caller_info: job.caller_info,
        argument: job.argument,
        reject: job.reject,
        deadline: job.deadline,
        responded: job.responded,
        available: job.available,
        refunded: job.refunded,
        balance: beginning.balance,
        frozen: beginning.frozen,
        call_instructions: job.call_instructions,
        instruction_limit: job.instructions,
        calls_room: limits::CANISTER_CALLBACKS_MAX.saturating_sub(canister.callbacks.len()),
        prices: prices(state),
        ..Inputs::new(job.mode, canister.clone(), state.subnet.clone(), beginning.time)
    };
    let run = Run {
        canister: canister.id,
        code,
        entry: job.entry,
        api: SystemApi::new(inputs),
        instructions: job.instructions,
        waking: beginning.waking,
        commit: job.mode != Mode::ReplicatedQuery,
    };
    let name = RunName { tariff: state.ledger.tariff().version, ..beginning.name };
    round.engine.advance(run, &name, progress.allowance())
}

/// What calls cost under the tariff in force.
pub(crate) fn prices(state: &State) -> CallPrices {
    let tariff = state.ledger.tariff();
    let price = |resource| {
        let price = tariff.price(resource);
        Price { cycles: price.numerator, per: u128::from(price.denominator) }
    };
    CallPrices {
        message: price(Resource::CallMessages),
        byte: price(Resource::CallBytes),
        response_reserve: charges::response_reserve(tariff),
        canister_creation: tariff.cost(Resource::CanisterCreation, 1),
    }
}

/// Takes storage of the subnet for memories that have grown, if the canister still has more than its freezing limit then. A
/// response may grow them whatever the canister has.
fn take_room(state: &mut State, canister: &Canister, more: u64, balance: Cycles, mode: Mode) -> Result<(), Trap> {
    let bytes = canister.memory_bytes_with(more);
    let frozen = charges::freezing_limit_with(state, canister, bytes);
    if matches!(mode, Mode::Update | Mode::Task) && balance < frozen {
        return Err(Trap::Contract(format!(
            "memory cannot grow to {bytes} bytes: {frozen} cycles must stay to keep them (freezing threshold), {balance} would be left",
        )));
    }
    state.claim_storage(bytes.saturating_sub(canister.memory_bytes())).map_err(|left| {
        Trap::Contract(format!("memory cannot grow to {bytes} bytes: the subnet has {left} bytes of storage left"))
    })
}

/// Applies what a run did besides its memories.
fn commit(state: &mut State, id: &CanisterId, effects: Effects, context: u64) -> Committed {
    let account = Account::Canister(*id);
    state.ledger.release(&account, effects.accepted);
    charges::burn(state, id, effects.burned);
    keep_log(state, id, effects.log, None);
    let canister = state.canister_mut(id).expect("has just run");
    canister.burned = canister.burned.saturating_add(effects.burned);
    if let Some(data) = effects.certified_data {
        canister.certified_data = data;
    }
    if let Some(timer) = effects.global_timer {
        canister.global_timer = timer;
    }
    let count = effects.calls.len() as u32;
    let fees = calls::send(state, id, context, effects.calls);
    Committed { response: effects.response, accepted: effects.accepted, calls: count, fees }
}

fn keep_log(state: &mut State, id: &CanisterId, mut lines: Vec<Vec<u8>>, trap: Option<&Trap>) {
    lines.extend(trap.filter(|trap| !is_ignored_callback(trap)).map(traps::log_line));
    if lines.is_empty() {
        return;
    }
    let time = state.time;
    if let Some(canister) = state.canister_mut(id) {
        canister.append_log(time, lines);
    }
}

/// Canisters that do not care for an answer name a function that does not exist (all ones).
fn is_ignored_callback(trap: &Trap) -> bool {
    matches!(trap, Trap::FunctionNotFound(index) if *index == u64::MAX || *index == u64::from(u32::MAX))
}
