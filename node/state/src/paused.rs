//! Messages that were begun and need more instructions than one round gives them.
//!
//! What such a message will have done is a function of the state when it began, so nothing of its run is kept here: only
//! what it began with and how many slices it has had. Whoever holds the run itself holds a cache.

use crate::message::{CallOrigin, Callback, Hashed, Response};
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
}

/// A message that goes on in a later round. Its canister runs nothing else until it has ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Paused {
    /// What is being worked on.
    pub work: Arc<Hashed<Work>>,
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
