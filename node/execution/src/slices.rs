//! Messages that need more than one round: each has a slice of instructions in every round in which it gets its turn.
//!
//! What a message does is a function of the state when it began. So the replicated state keeps only its beginning and a count
//! of slices, and asks the host in every round for the result within so many slices. A message that needs N instructions
//! ends with slice number N / slice, rounded up, whether the host went on where it stopped or began anew.

use crate::{
    callbacks,
    charges::{self, Budget},
    execute::Round,
    low_memory, run, system_calls, waking,
};
use mains_state::{Beginning, CallOrigin, Hashed, IngressStatus, Installing, Paused, RunName, SystemMessage, Work};
use mains_types::{CanisterId, limits};
use std::sync::Arc;

/// How far a message has come.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    /// What it sees of the moment when it began.
    pub(crate) beginning: Beginning,
    /// The slice that it is in, from 1.
    pub(crate) slices: u64,
    /// Its place among paused messages, if it was paused before.
    place: Option<u64>,
}

impl Progress {
    /// Of a message that begins now, for which everything is set aside.
    pub(crate) fn begin(round: &Round<'_>, id: &CanisterId) -> Self {
        let (state, number) = (&round.state, round.messages as u64);
        let beginning = Beginning {
            name: RunName { round: round.name, number, step: 0, tariff: state.ledger.tariff().version },
            time: state.time,
            balance: state.ledger.canister_balance(id),
            frozen: state.canister(id).map(|canister| charges::freezing_limit(state, canister)).unwrap_or_default(),
            waking: waking::cost(state, id),
        };
        Self { beginning, slices: 1, place: None }
    }

    /// The same for a message that need not wake its canister, because another one of it has just run.
    pub(crate) fn awake(mut self) -> Self {
        self.beginning.waking = 0;
        self
    }

    /// Instructions that it may have used by the end of this slice.
    pub(crate) fn allowance(&self) -> u64 {
        self.slices.saturating_mul(limits::SLICE_INSTRUCTIONS)
    }

    /// Whether this is its first slice.
    pub(crate) fn is_first(&self) -> bool {
        self.slices == 1
    }
}

/// Keeps a message whose slice is used up for the next round.
pub(crate) fn pause(round: &mut Round<'_>, id: &CanisterId, work: Work, budget: Budget, progress: &Progress) {
    pause_installing(round, id, (work, None), budget, progress);
}

/// The same for a call that installs and has come so far.
pub(crate) fn pause_installing(
    round: &mut Round<'_>,
    id: &CanisterId,
    (work, installing): (Work, Option<Installing>),
    budget: Budget,
    progress: &Progress,
) {
    let origin = match &work {
        Work::Call { origin, .. } | Work::Install(SystemMessage { origin, .. }) => Some(origin),
        Work::Callback { .. } => None,
    };
    if let Some(CallOrigin::Ingress { request_id, .. }) = origin {
        round.state.set_ingress_status(request_id, IngressStatus::Processing);
    }
    let Progress { beginning, slices, place } = progress.clone();
    let (work, reserved) = (Arc::new(Hashed::new(work)), budget.keep());
    round.state.pause(id, Paused { work, installing, beginning, reserved, slices, place, turn: 0 });
}

/// Gives one paused message its next slice.
pub(crate) fn next(round: &mut Round<'_>) {
    let Some((id, paused)) = round.state.resume() else { return };
    let Paused { work, installing, beginning, reserved, slices, place, .. } = paused;
    let (budget, progress) = (Budget::set_aside(&id, reserved), Progress { beginning, slices: slices + 1, place });
    match Arc::unwrap_or_clone(work).into_inner() {
        Work::Call { origin, export, argument, cycles } => {
            let job = run::job_of_call(&origin, export, argument, cycles);
            run::begin(round, &id, origin, job, budget, &progress);
        }
        Work::Callback { callback, response, cost } => {
            callbacks::begin(round, &id, callback, response, budget, cost, &progress);
        }
        Work::Install(message) => {
            let installing = installing.expect("what is paused while it installs has something to install");
            system_calls::resume(round, &id, &message, installing, budget, &progress);
        }
    }
    if round.state.canister(&id).is_none_or(|canister| canister.paused.is_none()) {
        round.state.unpause(&id);
        low_memory::review(&mut round.state, &id);
        run::stop_if_drained(&mut round.state, &id);
    }
    round.messages += 1;
}
