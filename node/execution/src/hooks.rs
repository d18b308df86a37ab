//! Entry points that run while a canister is installed or upgraded, on a draft of it.

use crate::{
    calls::SystemCall,
    charges,
    engine::{Engine, Entry, Run},
    run,
    system_api::{Inputs, Mode, SystemApi},
    traps,
};
use mains_state::{Canister, Code};
use mains_types::Reject;
use std::sync::Arc;

/// An entry point of installing and upgrading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hook {
    /// The module's start function.
    Start,
    /// `canister_init`.
    Init,
    /// `canister_pre_upgrade`.
    PreUpgrade,
    /// `canister_post_upgrade`.
    PostUpgrade,
}

impl Hook {
    fn entry(self, engine: &dyn Engine, code: &Code) -> Option<(Mode, Entry)> {
        let (mode, export) = match self {
            Self::Start => {
                let has_start = engine.module(&code.wasm).is_ok_and(|info| info.has_start);
                return has_start.then_some((Mode::Start, Entry::Start));
            }
            Self::Init => (Mode::Init, "canister_init"),
            Self::PreUpgrade => (Mode::PreUpgrade, "canister_pre_upgrade"),
            Self::PostUpgrade => (Mode::Init, "canister_post_upgrade"),
        };
        code.has_hook(export).then(|| (mode, Entry::Export(export.to_owned())))
    }
}

/// Runs a hook of `draft`'s code, if the module has it, and leaves what it did in `draft`: memories, certified data,
/// timer, log. `draft` is a copy of the canister; the caller puts it into the state when everything succeeded.
///
/// # Errors
/// The reject that the trap turns into. `draft` is then as before; the log lines are kept with the call.
pub(crate) fn run_hook(
    call: &mut SystemCall<'_>,
    draft: &mut Canister,
    hook: Hook,
    argument: &[u8],
) -> Result<(), Reject> {
    let Some(code) = draft.code.clone() else { return Ok(()) };
    let Some((mode, entry)) = hook.entry(call.engine, &code) else { return Ok(()) };
    let instructions = call.instructions_left();
    let canister = Arc::new(draft.clone());
    let inputs = Inputs {
        replicated: true,
        caller: call.sender,
        argument: argument.to_vec().into(),
        balance: call.state.ledger.canister_balance(&draft.id),
        frozen: charges::freezing_limit(call.state, draft),
        instruction_limit: instructions,
        prices: run::prices(call.state),
        ..Inputs::new(mode, canister, call.state.subnet.clone(), call.state.time)
    };
    let run = Run { canister: draft.id, code: &code, entry, api: SystemApi::new(inputs), instructions, commit: true };
    let ran = call.engine.run(run);
    call.instructions_used = call.instructions_used.saturating_add(ran.instructions);
    if let Err(trap) = &ran.outcome {
        let mut lines = ran.api.into_log();
        lines.push(traps::log_line(trap));
        call.kept_logs.push((draft.id, lines));
        return Err(traps::reject(&draft.id, trap));
    }
    let effects = ran.api.into_effects();
    charges::burn(call.state, &draft.id, effects.burned);
    draft.burned = draft.burned.saturating_add(effects.burned);
    if let Some(code) = &mut draft.code {
        code.heap = ran.heap;
        code.stable = effects.stable;
        code.stable_pages = effects.stable_pages;
    }
    if let Some(data) = effects.certified_data {
        draft.certified_data = data;
    }
    if let Some(timer) = effects.global_timer {
        draft.global_timer = timer;
    }
    draft.append_log(call.state.time, effects.log);
    Ok(())
}
