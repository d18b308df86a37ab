//! The whole value.

use crate::{Canister, IngressHistory};
use imbl::{OrdMap, OrdSet};
use mains_ledger::Ledger;
use mains_types::{CanisterId, Digest32, Height, NodeId, SubnetId, UnixNanos};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What never changes within an epoch: who this subnet is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// Its id: self-authenticating over `public_key_der`.
    pub id: SubnetId,
    /// Its BLS key as the Internet Computer encodes it (133 bytes).
    #[serde(with = "serde_bytes")]
    pub public_key_der: Vec<u8>,
    /// Its members and their ed25519 keys (32 bytes).
    pub nodes: OrdMap<NodeId, [u8; 32]>,
    /// Whether `provisional_*` methods exist and anonymous is pre-funded.
    pub is_test: bool,
}

/// The replicated state of one subnet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    /// Who we are.
    pub subnet: Arc<Subnet>,
    /// The last executed block's height.
    pub height: Height,
    /// The last executed block's time.
    pub time: UnixNanos,
    /// The last executed block's digest: ties state to chain.
    pub block: Digest32,
    /// All canisters. Change one only through [`State::canister_mut`], which marks it for the next root.
    pub(crate) canisters: OrdMap<CanisterId, Arc<Canister>>,
    /// Index of the next canister id to hand out.
    pub next_canister: u64,
    /// Requests and their outcomes.
    pub(crate) ingress: IngressHistory,
    /// Money and meters.
    pub ledger: Ledger,
    /// Canisters with a message waiting, in the order in which they get their turn.
    pub ready: OrdSet<(u64, CanisterId)>,
    /// The next turn number.
    pub next_turn: u64,
    /// Canisters with a timer, by due time.
    pub timers: OrdSet<(UnixNanos, CanisterId)>,
    /// Canisters that export a heartbeat and run.
    pub heartbeats: OrdSet<CanisterId>,
    /// The certified tree of the last sealed height, derived from everything above.
    #[serde(skip)]
    pub(crate) tree: mains_tree::Tree,
}
