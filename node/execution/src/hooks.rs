//! Entry points that run while a canister is installed or upgraded, on a draft of it, in slices.
//!
//! A call that installs is done again from its beginning in every round in which it has a slice. Hooks that have ended are not run
//! again: what the last of them left is kept with the call. The one under way is asked of the host as a paused message is, so that
//! what it does is a function of the state when the call began.

use crate::{
    calls::SystemCall,
    charges,
    engine::{Engine, Entry, Run},
    management::Halt,
    run,
    system_api::{Inputs, Mode, SystemApi},
    traps, waking,
};
use mains_state::{Accepted, Beginning, Canister, Code, Draft, Installing, RunName};
use mains_types::{Cycles, Reject, limits};
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

/// How far a call that installs has come, and how far it may go in this round.
#[derive(Clone, Debug)]
pub(crate) struct Steps {
    /// The module, once it is known.
    pub(crate) module: Option<Accepted>,
    /// What hooks see of the moment when the call began.
    beginning: Beginning,
    /// Instructions that all hooks together may have used by the end of this round's slice.
    allowance: u64,
    /// Hooks that have ended, in earlier rounds or in this one.
    ended: u64,
    /// The number of the next hook in this round.
    next: u64,
    /// What the hooks that have ended burned.
    burned: Cycles,
    /// What they left.
    draft: Option<Draft>,
    /// Whether one of the new module has ended, so that an instance has the heap that it left.
    pub(crate) is_awake: bool,
}

impl Steps {
    /// Of a call that has its first slice; `module` is known if replicas had the time to compile it.
    pub(crate) fn first(beginning: Beginning, module: Option<Accepted>) -> Self {
        let allowance = limits::SLICE_INSTRUCTIONS;
        Self { module, beginning, allowance, ended: 0, next: 0, burned: Cycles::ZERO, draft: None, is_awake: false }
    }

    /// Of a call that has come so far and may have used `allowance` instructions by the end of its next slice.
    pub(crate) fn resumed(beginning: Beginning, installing: Installing, allowance: u64) -> Self {
        let Installing { module, steps, instructions: _, burned, draft } = installing;
        Self { module: Some(module), beginning, allowance, ended: steps, next: 0, burned, draft, is_awake: false }
    }

    /// How far it has come, to be kept; `instructions` were used by hooks that have ended. `None` if it installs nothing.
    pub(crate) fn keep(self, instructions: u64) -> Option<Installing> {
        let Self { module, ended, burned, draft, .. } = self;
        Some(Installing { module: module?, steps: ended, instructions, burned, draft })
    }
}

/// Runs a hook of `draft`'s code, if the module has it, and leaves what it did in `draft`: memories, certified data,
/// timer, log. `draft` is a copy of the canister; the caller puts it into the state when everything succeeded.
///
/// # Errors
/// The reject that the trap turns into: `draft` is then as before; the log lines are kept with the call. Or the slice is used up.
pub(crate) fn run_hook(
    call: &mut SystemCall<'_>,
    draft: &mut Canister,
    hook: Hook,
    argument: &[u8],
) -> Result<(), Halt> {
    let Some(code) = draft.code.clone() else { return Ok(()) };
    let Some((mode, entry)) = hook.entry(call.engine, &code) else { return Ok(()) };
    let step = call.steps.next;
    call.steps.next += 1;
    let waking = match hook {
        Hook::PreUpgrade => call.steps.beginning.waking,
        _ if call.steps.is_awake => 0,
        _ => waking::copying(&code.heap),
    };
    call.steps.is_awake = hook != Hook::PreUpgrade;
    if step < call.steps.ended {
        // Only what the last of them left counts.
        if let Some(left) = call.steps.draft.clone().filter(|_| step + 1 == call.steps.ended) {
            left.put(draft);
        }
        return Ok(());
    }
    let instructions = call.instructions_left();
    let Beginning { name, time, balance, .. } = call.steps.beginning;
    let canister = Arc::new(draft.clone());
    let inputs = Inputs {
        replicated: true,
        caller: call.sender,
        argument: argument.to_vec().into(),
        balance: balance.saturating_sub(call.steps.burned),
        frozen: charges::freezing_limit(call.state, draft),
        instruction_limit: instructions,
        prices: run::prices(call.state),
        ..Inputs::new(mode, canister, call.state.subnet.clone(), time)
    };
    let api = SystemApi::new(inputs);
    let run = Run { canister: draft.id, code: &code, entry, api, instructions, waking, commit: true };
    let allowance = call.steps.allowance.saturating_sub(call.instructions_used);
    let name = RunName { step, tariff: call.state.ledger.tariff().version, ..name };
    let ran = if allowance > 0 { call.engine.advance(run, &name, allowance) } else { None };
    // What ran is a draft: its instance holds it, and the canister sleeps until the draft has taken its place.
    call.state.awake.ran(&draft.id, ran.as_ref().map_or(&code.heap, |ran| &ran.heap).pages.len());
    call.state.awake.sleep(&draft.id);
    let Some(ran) = ran else { return Err(Halt::Pause) };
    call.instructions_used = call.instructions_used.saturating_add(ran.instructions);
    if let Err(trap) = &ran.outcome {
        let mut lines = ran.api.into_log();
        lines.push(traps::log_line(trap));
        call.kept_logs.push((draft.id, lines));
        return Err(traps::reject(&draft.id, trap).into());
    }
    let effects = ran.api.into_effects();
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
    call.steps.burned = call.steps.burned.saturating_add(effects.burned);
    call.steps.ended = step + 1;
    call.steps.draft = Draft::of(draft);
    Ok(())
}

/// Takes what the hooks burned out of being, when all have ended.
///
/// # Errors
/// The canister has not so much any more: calls to it were paid meanwhile.
pub(crate) fn burn(call: &mut SystemCall<'_>, draft: &mut Canister) -> Result<(), Reject> {
    let (burned, left) = (call.steps.burned, call.state.ledger.canister_balance(&draft.id));
    if left < burned {
        let trap = traps::spent_meanwhile(call.steps.beginning.balance, left);
        return Err(traps::reject(&draft.id, &trap));
    }
    charges::burn(call.state, &draft.id, burned);
    draft.burned = draft.burned.saturating_add(burned);
    Ok(())
}
