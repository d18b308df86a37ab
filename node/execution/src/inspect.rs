//! Whether this replica should take a client's call into its pool: its own view, never a replicated verdict.

use crate::{
    call_policy,
    calls::is_built_in,
    charges,
    engine::{Engine, Entry, Run},
    execute::Call,
    induction, management, rejects, run,
    system_api::{Inputs, Mode, SystemApi},
    system_canisters::{self, utility},
    traps,
};
use mains_state::State;
use mains_types::{Principal, Reject, ids::utility_id, limits};

/// Whether a call would reach its method on this state: the canister exists, runs, is not frozen, has the method, its limits on
/// calls from outside are not used up, and its `canister_inspect_message` accepts.
///
/// # Errors
/// What a client should be told instead. Nothing is charged.
pub fn inspect(engine: &dyn Engine, state: &State, call: &Call) -> Result<(), Reject> {
    if is_built_in(state, &call.canister_id) {
        induction::has_system_room(state, &call.sender)?;
    }
    if call.canister_id == Principal::management_canister() {
        return management::inspect(state, &call.sender, &call.method, &call.argument);
    }
    if call.canister_id == utility_id() {
        return utility::inspect(state, call);
    }
    if is_built_in(state, &call.canister_id) {
        return system_canisters::inspect(state, &call.canister_id, &call.method, &call.argument);
    }
    let id = &call.canister_id;
    let canister = state.canister_shared(id).ok_or_else(|| rejects::not_found(id))?;
    induction::ready_for_calls(&canister)?;
    induction::has_room(&canister)?;
    call_policy::check(&canister, state.time, &call.sender, induction::fee(state, call.bytes))?;
    let execution = charges::execution_cost(state.ledger.tariff(), limits::UPDATE_INSTRUCTIONS_MAX);
    charges::require_liquid(state, id, induction::fee(state, call.bytes).saturating_add(execution))?;
    let code = canister.code.as_ref().ok_or_else(|| rejects::no_module(id))?;
    if !code.exports.updates.contains(&call.method) && !code.exports.queries.contains(&call.method) {
        return Err(rejects::no_method(id, "update", &call.method));
    }
    const HOOK: &str = "canister_inspect_message";
    if !code.has_hook(HOOK) {
        return Ok(());
    }
    let inputs = Inputs {
        caller: call.sender,
        caller_info: call.caller_info.clone(),
        method: call.method.clone(),
        argument: call.argument.clone().into(),
        balance: state.ledger.canister_balance(id),
        frozen: charges::freezing_limit(state, &canister),
        instruction_limit: limits::INSPECT_INSTRUCTIONS_MAX,
        prices: run::prices(state),
        ..Inputs::new(Mode::Inspect, canister.clone(), state.subnet.clone(), state.time)
    };
    let ran = engine.run(Run {
        canister: *id,
        code,
        entry: Entry::Export(HOOK.to_owned()),
        api: SystemApi::new(inputs),
        instructions: limits::INSPECT_INSTRUCTIONS_MAX,
        waking: 0,
        commit: false,
    });
    ran.outcome.map_err(|trap| traps::reject(id, &trap))?;
    if ran.api.into_effects().message_accepted { Ok(()) } else { Err(rejects::not_accepted(id)) }
}
