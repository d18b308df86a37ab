//! How a subnet begins: one value that every replica starts from, kept as one canonical file.

use mains_types::{Cycles, Principal, UnixNanos};
use serde::{Deserialize, Serialize};

/// What a network is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NetworkKind {
    /// Development: the chain key comes from a dealer, principals may be pre-funded, `provisional_*` methods exist.
    Test,
    /// For real: the chain key comes from a ceremony among the replicas.
    Public,
}

/// Where the chain key's shares come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChainKeyOrigin {
    /// One process made all shares. Only valid for [`NetworkKind::Test`].
    TrustedDealer,
    /// Distributed key generation among the replicas.
    DistributedKeyGeneration,
}

/// A member of the first committee.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenesisNode {
    /// ed25519 public key (32 bytes): network, consensus and query identity.
    pub public_key: [u8; 32],
    /// Who is paid for its work.
    pub operator: Principal,
}

/// How a subnet begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genesis {
    /// A name for people and log lines; also part of every protocol name on the wire.
    pub network: String,
    /// What it is for.
    pub kind: NetworkKind,
    /// When it began; block times are later.
    pub time: UnixNanos,
    /// The committee, in the order of their public keys.
    pub nodes: Vec<GenesisNode>,
    /// Where the chain key comes from.
    pub chain_key_origin: ChainKeyOrigin,
    /// The chain key: 96 bytes, BLS12-381 in G2.
    #[serde(with = "serde_bytes")]
    pub chain_key: Vec<u8>,
    /// Public polynomial of the chain key's shares, as the engine encodes it.
    #[serde(with = "serde_bytes")]
    pub chain_key_sharing: Vec<u8>,
    /// Cycles that exist from the start, by owner. Only valid for [`NetworkKind::Test`].
    pub accounts: Vec<(Principal, Cycles)>,
    /// How long a leader waits for work before it proposes an empty block, milliseconds.
    pub heartbeat_ms: u64,
    /// How long replicas wait for a leader, milliseconds; above `heartbeat_ms`.
    pub leader_timeout_ms: u64,
}
