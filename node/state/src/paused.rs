//! Messages that were begun and need more instructions than one round gives them.
//!
//! What such a message will have done is a function of the state when it began, so nothing of its run is kept here: only
//! what it began with and how many slices it has had. Whoever holds the run itself holds a cache. A call that installs is several
//! runs, each on what the one before left: that is kept too.

use crate::{
    canister::{Canister, Code, LogRecord},
    message::{CallOrigin, Callback, Hashed, Response, SystemMessage},
    preparing::Accepted,
};
use imbl::Vector;
use mains_types::{Cycles, Digest32, UnixNanos};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Names a run among all runs of all forks: what it does follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RunName {
    /// The round in which it began: digest of the state before it and of its block.
    pub round: Digest32,
    /// Its number in that round.
    pub number: u64,
    /// The hook, from 0, of a call that installs.
    pub step: u64,
    /// The tariff in force: what a run may ask for. Under another one it is another run, done again from its beginning.
    pub tariff: u32,
}

/// What a message sees of the moment when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beginning {
    /// Names its run.
    pub name: RunName,
    /// The block's time.
    pub time: UnixNanos,
    /// What its canister owned, after all that was set aside for it.
    pub balance: Cycles,
    /// What its canister had to keep so as not to freeze.
    pub frozen: Cycles,
    /// Instructions that waking its canister cost; 0 if that was awake.
    pub waking: u64,
}

/// What is being worked on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Work {
    /// The first message of a call, or a task.
    Call {
        /// Who waits; a task has [`CallOrigin::System`].
        origin: CallOrigin,
        /// The entry point, e.g. `canister_update inc`.
        export: String,
        /// The argument.
        #[serde(with = "serde_bytes")]
        argument: Vec<u8>,
        /// Cycles that came with the call (held in flight).
        cycles: Cycles,
    },
    /// The callback for a response.
    Callback {
        /// It is not among the canister's callbacks any more.
        callback: Callback,
        /// Its refund is the canister's already.
        response: Response,
        /// What delivering it has cost.
        cost: Cycles,
    },
    /// A call that installs: see [`Paused::installing`].
    Install(SystemMessage),
}

/// How far a call that installs has come. Hooks that have ended are not run again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Installing {
    /// What is installed.
    pub module: Accepted,
    /// Hooks that have ended.
    pub steps: u64,
    /// Instructions that they used.
    pub instructions: u64,
    /// Cycles that they burned; still the canister's.
    pub burned: Cycles,
    /// What they made of the canister, if one has ended.
    pub draft: Option<Draft>,
}

/// What hooks change of a canister, before it counts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Draft {
    /// Module and memories.
    pub code: Code,
    /// Certified data.
    #[serde(with = "serde_bytes")]
    pub certified_data: Vec<u8>,
    /// The timer.
    pub global_timer: Option<UnixNanos>,
    /// The log, and the next line's number.
    pub log: Vector<LogRecord>,
    /// See `log`.
    pub next_log: u64,
}

impl Draft {
    /// What hooks left in a copy of the canister; `None` if that has no code.
    pub fn of(canister: &Canister) -> Option<Self> {
        Some(Self {
            code: canister.code.clone()?,
            certified_data: canister.certified_data.clone(),
            global_timer: canister.global_timer,
            log: canister.log.clone(),
            next_log: canister.next_log,
        })
    }

    /// Puts it into a copy of the canister.
    pub fn put(self, canister: &mut Canister) {
        let Self { code, certified_data, global_timer, log, next_log } = self;
        canister.code = Some(code);
        (canister.certified_data, canister.global_timer) = (certified_data, global_timer);
        (canister.log, canister.next_log) = (log, next_log);
    }
}

/// A message that goes on in a later round. Its canister runs nothing else until it has ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Paused {
    /// What is being worked on.
    pub work: Arc<Hashed<Work>>,
    /// Of a call that installs: how far it has come.
    pub installing: Option<Installing>,
    /// What it sees.
    pub beginning: Beginning,
    /// Set aside for its execution (held in flight).
    pub reserved: Cycles,
    /// Slices it has had; at least one.
    pub slices: u64,
    /// Its place in the order in which paused messages began. Set by [`crate::State::pause`].
    pub place: Option<u64>,
    /// When it had its last slice, in turns. Set by [`crate::State::pause`].
    pub turn: u64,
}
