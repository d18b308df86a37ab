//! From creation to deletion: settings, start and stop, cycles.

use super::{codec, refusal, settings, status};
use crate::{
    calls::{self, SystemCall},
    charges, rejects,
};
use ic_management_canister_types as ic;
use mains_ledger::{Account, Resource};
use mains_state::{CallOrigin, Canister, ChangeKind, Message, RunStatus, Settings, State, Stop};
use mains_types::{CanisterId, Cycles, Principal, Reject, ids, limits};
use std::{collections::BTreeSet, sync::Arc};

/// What `provisional_create_canister_with_cycles` gives if nothing is said: 100 credits, as on the Internet Computer.
const PROVISIONAL_CYCLES: u128 = 100_000_000_000_000;

/// `create_canister`: the attached cycles, less the fee, become the new canister's.
pub(super) fn create_canister(call: &mut SystemCall<'_>) -> Result<Vec<u8>, Reject> {
    let (args,) = codec::decode::<(ic::CreateCanisterArgs,)>(call.method, call.argument)?;
    let given = args.settings.unwrap_or_default();
    let by = (call.sender, args.sender_canister_version);
    let canister_id = new_canister(call.state, by, given, None)?;
    call.accept(&Account::Canister(canister_id), Cycles::MAX);
    charge_creation(call.state, &canister_id)?;
    Ok(codec::encode(&ic::CanisterIdRecord { canister_id }))
}

/// `provisional_create_canister_with_cycles`: for anybody, with cycles from nowhere, on test networks.
pub(super) fn provisional_create(call: &mut SystemCall<'_>) -> Result<Vec<u8>, Reject> {
    require_test_network(call)?;
    let (args,) = codec::decode::<(ic::ProvisionalCreateCanisterWithCyclesArgs,)>(call.method, call.argument)?;
    let amount = match &args.amount {
        Some(amount) => codec::cycles("amount", amount)?,
        None => Cycles(PROVISIONAL_CYCLES),
    };
    let given = args.settings.unwrap_or_default();
    let by = (call.sender, args.sender_canister_version);
    let canister_id = new_canister(call.state, by, given, args.specified_id)?;
    mint(call.state, &canister_id, amount)?;
    require_allocations(call.state, &canister_id)?;
    Ok(codec::encode(&ic::CanisterIdRecord { canister_id }))
}

/// `provisional_top_up_canister`: cycles from nowhere, on test networks.
pub(super) fn provisional_top_up(call: &mut SystemCall<'_>) -> Result<Vec<u8>, Reject> {
    require_test_network(call)?;
    let (args,) = codec::decode::<(ic::ProvisionalTopUpCanisterArgs,)>(call.method, call.argument)?;
    status::find(call.state, &args.canister_id)?;
    mint(call.state, &args.canister_id, codec::cycles("amount", &args.amount)?)?;
    Ok(codec::encode_nothing())
}

/// `deposit_cycles`: what is attached becomes the canister's.
pub(super) fn deposit_cycles(call: &mut SystemCall<'_>) -> Result<Vec<u8>, Reject> {
    let (ic::CanisterIdRecord { canister_id },) = codec::decode(call.method, call.argument)?;
    status::find(call.state, &canister_id)?;
    call.accept(&Account::Canister(canister_id), Cycles::MAX);
    Ok(codec::encode_nothing())
}

/// `update_settings`.
pub(super) fn update_settings(call: &mut SystemCall<'_>) -> Result<Vec<u8>, Reject> {
    let (args,) = codec::decode::<(ic::UpdateSettingsArgs,)>(call.method, call.argument)?;
    let (canister_id, given) = (args.canister_id, args.settings);
    let canister = controlled(call, &canister_id)?;
    let names_controllers = given.controllers.is_some();
    let before = (canister.settings.compute_allocation, canister.settings.memory_allocation);
    let after = settings::apply(&canister.settings, given)?;
    let asks_more = after.compute_allocation > before.0 || after.memory_allocation > before.1;
    let (time, by) = (call.state.time, (call.sender, args.sender_canister_version));
    let canister = find_mut(call.state, &canister_id)?;
    canister.settings = after;
    canister.version += 1;
    if names_controllers {
        let controllers = canister.settings.controllers.clone();
        canister.record_change(time, by, ChangeKind::Controllers(controllers));
    }
    if asks_more {
        charges::require_liquid(call.state, &canister_id, Cycles::ZERO)?;
    }
    Ok(codec::encode_nothing())
}

/// `start_canister`. Whoever waits for a stop learns that it will not come.
pub(super) fn start_canister(call: &mut SystemCall<'_>) -> Result<Vec<u8>, Reject> {
    let (ic::CanisterIdRecord { canister_id },) = codec::decode(call.method, call.argument)?;
    controlled(call, &canister_id)?;
    let canister = find_mut(call.state, &canister_id)?;
    let before = std::mem::replace(&mut canister.status, RunStatus::Running);
    if before != RunStatus::Running {
        canister.version += 1;
    }
    if let RunStatus::Stopping(waiting) = before {
        for stop in waiting {
            calls::respond(call.state, &stop.origin, Err(refusal::started(&canister_id)), stop.cycles);
        }
    }
    Ok(codec::encode_nothing())
}

/// `stop_canister`: answers when the last open call has ended, or gives up after a while; the canister goes on stopping.
pub(super) fn stop_canister(call: &mut SystemCall<'_>) -> Result<Option<Vec<u8>>, Reject> {
    let (ic::CanisterIdRecord { canister_id },) = codec::decode(call.method, call.argument)?;
    controlled(call, &canister_id)?;
    let until = call.state.time.saturating_add_nanos(limits::STOP_CANISTER_NANOS_MAX);
    let stop = Stop { origin: call.origin.clone(), cycles: call.cycles, until };
    let canister = find_mut(call.state, &canister_id)?;
    match &mut canister.status {
        RunStatus::Stopped => return Ok(Some(codec::encode_nothing())),
        RunStatus::Stopping(waiting) if waiting.len() >= limits::CANISTER_QUEUE_MAX => {
            return Err(rejects::queue_full(&canister_id));
        }
        RunStatus::Stopping(waiting) => waiting.push(stop),
        RunStatus::Running => {
            canister.version += 1;
            if canister.is_drained() {
                canister.status = RunStatus::Stopped;
                return Ok(Some(codec::encode_nothing()));
            }
            canister.status = RunStatus::Stopping(vec![stop]);
        }
    }
    Ok(None)
}

/// `uninstall_code`: the code and everything it owned go, calls it works on are rejected.
pub(super) fn uninstall_code(call: &mut SystemCall<'_>) -> Result<Vec<u8>, Reject> {
    let (args,) = codec::decode::<(ic::UninstallCodeArgs,)>(call.method, call.argument)?;
    controlled(call, &args.canister_id)?;
    uninstall(call.state, &args.canister_id, (call.sender, args.sender_canister_version));
    Ok(codec::encode_nothing())
}

/// Takes a canister's code away for one of its controllers. Nothing happens if the canister is not there.
pub(crate) fn uninstall(state: &mut State, id: &CanisterId, by: (Principal, Option<u64>)) {
    let time = state.time;
    remove_code(state, id);
    if let Some(canister) = state.canister_mut(id) {
        canister.record_change(time, by, ChangeKind::Uninstall);
    }
}

/// Takes everything away that a canister would have to pay for: it is out of cycles. The number of its changes is kept, as
/// the interface specification says, and nothing of what they were.
pub(crate) fn run_out(state: &mut State, id: &CanisterId) {
    remove_code(state, id);
    let Some(canister) = state.canister_mut(id) else { return };
    canister.snapshots.clear();
    canister.history = Arc::default();
    (canister.settings.compute_allocation, canister.settings.memory_allocation) = (0, 0);
}

fn remove_code(state: &mut State, id: &CanisterId) {
    let Some(canister) = state.canister_mut(id) else { return };
    canister.code = None;
    canister.installed_at = None;
    canister.certified_data.clear();
    canister.global_timer = None;
    canister.chunks.clear();
    canister.log.clear();
    canister.version += 1;
    // Contexts with calls under way stay, answered, until the responses are in: they carry the reserves.
    let mut waiting = Vec::new();
    let contexts = std::mem::take(&mut canister.contexts);
    for (context_id, mut context) in contexts {
        if !context.responded {
            context.responded = true;
            waiting.push((context.origin.clone(), std::mem::take(&mut context.available)));
        }
        if context.outstanding > 0 {
            canister.contexts.insert(context_id, context);
        }
    }
    for (origin, cycles) in waiting {
        calls::respond(state, &origin, Err(refusal::uninstalled(id)), cycles);
    }
}

/// `delete_canister`: the cycles that it had are burnt.
pub(super) fn delete_canister(call: &mut SystemCall<'_>) -> Result<Vec<u8>, Reject> {
    let (ic::CanisterIdRecord { canister_id },) = codec::decode(call.method, call.argument)?;
    let canister = controlled(call, &canister_id)?;
    if canister.status != RunStatus::Stopped {
        return Err(refusal::not_stopped(&canister_id));
    }
    if call.sender == canister_id {
        return Err(refusal::payload("A canister cannot delete itself."));
    }
    for message in call.state.drain_queue(&canister_id) {
        turn_away(call.state, &canister_id, &message);
    }
    call.state.remove_canister(&canister_id);
    charges::close_account(call.state, &canister_id);
    Ok(codec::encode_nothing())
}

/// Creates a canister with no cycles and no code.
///
/// # Errors
/// The settings do not fit, the specified id is taken or not this subnet's, or there are no ids left.
pub(crate) fn new_canister(
    state: &mut State,
    by: (Principal, Option<u64>),
    given: ic::CanisterSettings,
    specified_id: Option<CanisterId>,
) -> Result<CanisterId, Reject> {
    let defaults = Settings { controllers: BTreeSet::from([by.0]), ..Settings::default() };
    let environment = given.environment_variables.is_some();
    let settings = settings::apply(&defaults, given)?;
    let id = match specified_id {
        Some(id) => free_id(state, id)?,
        None => next_id(state)?,
    };
    let controllers = settings.controllers.clone();
    let environment_hash = environment.then(|| settings::environment_hash(&settings.environment_variables));
    let mut canister = Canister::new(id, settings, state.time);
    canister.record_change(state.time, by, ChangeKind::Creation(controllers, environment_hash));
    state.insert_canister(canister);
    Ok(id)
}

/// Charges a new canister for its creation.
///
/// # Errors
/// [`refusal::out_of_cycles`]: it was given less than that costs.
pub(crate) fn charge_creation(state: &mut State, id: &CanisterId) -> Result<(), Reject> {
    let fee = state.ledger.tariff().cost(Resource::CanisterCreation, 1);
    let charged = state.ledger.charge(id, Resource::CanisterCreation, 1);
    charged.map_err(|_| {
        let balance = state.ledger.canister_balance(id);
        refusal::out_of_cycles(format!("Creating a canister costs {fee} cycles, {balance} were given."))
    })?;
    require_allocations(state, id)
}

/// Takes the allocations that a new canister's settings ask for, if it can pay for them without being frozen from the start.
fn require_allocations(state: &mut State, id: &CanisterId) -> Result<(), Reject> {
    let settings = &status::find(state, id)?.settings;
    let bytes = settings.memory_allocation;
    if settings.compute_allocation > 0 || bytes > 0 {
        charges::require_liquid(state, id, Cycles::ZERO)?;
    }
    state.claim_storage(bytes).map_err(|left| refusal::no_storage(bytes, left))
}

/// The canister, or the refusal that there is none, to be changed.
pub(super) fn find_mut<'a>(state: &'a mut State, id: &CanisterId) -> Result<&'a mut Canister, Reject> {
    state.canister_mut(id).ok_or_else(|| refusal::not_found(id))
}

/// The canister, if the sender controls it.
pub(super) fn controlled<'a>(call: &'a SystemCall<'_>, id: &CanisterId) -> Result<&'a Canister, Reject> {
    let canister = status::find(call.state, id)?;
    if canister.is_controlled_by(&call.sender) {
        Ok(canister)
    } else {
        Err(refusal::not_controller(id, &call.sender, call.method))
    }
}

/// Answers a message that a canister will not see any more.
fn turn_away(state: &mut State, id: &CanisterId, message: &Message) {
    let (origin, cycles) = match message {
        Message::Ingress { request_id, sender, .. } => {
            (CallOrigin::Ingress { request_id: *request_id, sender: *sender, info: None }, Cycles::ZERO)
        }
        Message::Request { sender, callback, deadline, cycles, .. } => {
            (CallOrigin::Canister { sender: *sender, callback: *callback, deadline: *deadline }, *cycles)
        }
        Message::Response(response) => return calls::return_cycles(state, id, response.refund),
        Message::Task(_) => return,
    };
    calls::respond(state, &origin, Err(refusal::not_found(id)), cycles);
}

fn require_test_network(call: &SystemCall<'_>) -> Result<(), Reject> {
    if call.state.subnet.is_test { Ok(()) } else { Err(refusal::test_networks_only(call.method)) }
}

fn mint(state: &mut State, id: &CanisterId, amount: Cycles) -> Result<(), Reject> {
    let minted = state.ledger.mint(&Account::Canister(*id), amount);
    minted.map(drop).map_err(|error| refusal::payload(format!("The cycles cannot be created: {error}.")))
}

fn next_id(state: &mut State) -> Result<CanisterId, Reject> {
    while state.next_canister < ids::CANISTER_RANGE_LENGTH {
        let id = ids::canister_id(state.next_canister);
        state.next_canister += 1;
        if state.canister(&id).is_none() {
            return Ok(id);
        }
    }
    Err(refusal::subnet_full())
}

fn free_id(state: &State, id: CanisterId) -> Result<CanisterId, Reject> {
    match ids::canister_index(&id) {
        Some(ids::FIRST_CANISTER_INDEX..ids::CANISTER_RANGE_LENGTH) => {}
        _ => return Err(refusal::payload(format!("The specified_id {id} is not in this subnet's range."))),
    }
    if state.canister(&id).is_some() {
        return Err(refusal::payload(format!("There is a canister {id} already.")));
    }
    if ids::canister_index(&id).is_some_and(|index| index < state.next_canister) {
        return Err(refusal::payload(format!("There was a canister {id}; ids are not used again.")));
    }
    Ok(id)
}
