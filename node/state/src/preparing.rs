//! Calls that wait until every replica has had the time to compile the module that they install.
//!
//! When such a call goes on follows from what modules weigh and from blocks, never from how far a compiler is.

use crate::message::{Hashed, SystemMessage};
use mains_types::{CanisterId, Cycles, Digest32, Height, Principal, UnixNanos};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::sync::Arc;

/// A module that was found valid and whose compilation is paid for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Its bytes, uncompressed.
    #[serde(with = "crate::shared")]
    pub wasm: Arc<ByteBuf>,
    /// BLAKE3 of these.
    pub id: Digest32,
    /// SHA-256 of what was uploaded.
    pub hash: Digest32,
    /// Who signed it.
    pub publisher: Option<Principal>,
}

/// A call in the lane.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Preparing {
    /// The canister that it is about. All its other calls of this kind wait until this one has run.
    pub about: CanisterId,
    /// The call.
    pub message: Arc<Hashed<SystemMessage>>,
    /// What is being compiled.
    pub module: Accepted,
    /// Set aside for what is left to be done (held in flight).
    pub reserved: Cycles,
    /// What compiling it weighs, in instructions.
    pub weight: u64,
    /// Its place: those with less come first.
    pub place: u64,
    /// Once it is its module's turn: the height and the block time at which it goes on, or later.
    pub due: Option<(Height, UnixNanos)>,
}

impl Preparing {
    /// Bytes that it holds.
    pub(crate) fn bytes(&self) -> u64 {
        self.message.bytes() + self.module.wasm.len() as u64
    }
}
