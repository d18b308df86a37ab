//! How a subnet begins: one value that every replica starts from, kept as one canonical file.

use mains_ledger::Tariff;
use mains_types::{Cycles, Principal, UnixNanos, limits};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

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

/// Whose modules are installed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RequiredSignature {
    /// Anybody's, signed or not.
    #[default]
    Nobody,
    /// Those that carry a valid signature, whoever it is of: everything that runs names its publisher.
    Anybody,
    /// Those that one of these publishers signed.
    OneOf(BTreeSet<Principal>),
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
    /// Whose modules are installed.
    #[serde(default)]
    pub require_publisher_signature: RequiredSignature,
    /// Bytes of storage that canisters take together at most: what every operator has room for.
    #[serde(default = "storage_bytes")]
    pub storage_bytes_max: u64,
}

const fn storage_bytes() -> u64 {
    limits::SUBNET_STORAGE_BYTES
}

/// Bytes of the chain key.
const CHAIN_KEY_BYTES: usize = 96;

/// Seconds of an epoch on a test network: people who try it see operators paid while they look.
const TEST_EPOCH_SECONDS: u64 = 120;

impl Genesis {
    /// A test network of a node per operator, whose keys nobody holds: what tests and benchmarks of execution and storage begin
    /// with, where nothing is signed.
    pub fn rehearsal(operators: impl IntoIterator<Item = Principal>) -> Self {
        let node = |(index, operator)| GenesisNode { public_key: [index; 32], operator };
        Self {
            network: "rehearsal".into(),
            kind: NetworkKind::Test,
            time: UnixNanos(1_700_000_000 * UnixNanos::SECOND),
            nodes: (0..).zip(operators).map(node).collect(),
            chain_key_origin: ChainKeyOrigin::TrustedDealer,
            chain_key: vec![7; CHAIN_KEY_BYTES],
            chain_key_sharing: Vec::new(),
            accounts: Vec::new(),
            heartbeat_ms: 500,
            leader_timeout_ms: 2_000,
            require_publisher_signature: RequiredSignature::Nobody,
            storage_bytes_max: limits::SUBNET_STORAGE_BYTES,
        }
    }

    /// The tariff that the subnet begins with.
    pub fn tariff(&self) -> Tariff {
        let tariff = Tariff::for_nodes(self.nodes.len() as u32);
        match self.kind {
            NetworkKind::Test => Tariff { epoch_seconds: TEST_EPOCH_SECONDS, ..tariff },
            NetworkKind::Public => tariff,
        }
    }

    /// Whether a network can begin like this.
    ///
    /// # Errors
    /// The rule it breaks, in a sentence.
    pub fn check(&self) -> Result<(), String> {
        let mut keys: Vec<_> = self.nodes.iter().map(|node| node.public_key).collect();
        keys.sort_unstable();
        keys.dedup();
        if keys.is_empty() || keys.len() != self.nodes.len() {
            return Err("its committee is empty or names a key twice".into());
        }
        if self.chain_key.len() != CHAIN_KEY_BYTES {
            return Err(format!("its chain key has {} bytes, not {CHAIN_KEY_BYTES}", self.chain_key.len()));
        }
        if self.heartbeat_ms == 0 || self.leader_timeout_ms <= self.heartbeat_ms {
            return Err("its leader timeout is not above its heartbeat".into());
        }
        if matches!(&self.require_publisher_signature, RequiredSignature::OneOf(publishers) if publishers.is_empty()) {
            return Err("it lists no publisher, so that nothing could be installed".into());
        }
        match self.kind {
            NetworkKind::Test => Ok(()),
            NetworkKind::Public if self.chain_key_origin == ChainKeyOrigin::TrustedDealer => {
                Err("a public network's chain key must not come from a dealer".into())
            }
            NetworkKind::Public if !self.accounts.is_empty() => {
                Err("a public network begins without cycles in anybody's account".into())
            }
            NetworkKind::Public => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn genesis() -> Genesis {
        Genesis {
            kind: NetworkKind::Public,
            chain_key_origin: ChainKeyOrigin::DistributedKeyGeneration,
            ..Genesis::rehearsal([Principal::anonymous()])
        }
    }

    #[test]
    fn a_public_network_has_no_dealer_and_no_money_from_nowhere() {
        assert_eq!(genesis().check(), Ok(()));
        let dealt = Genesis { chain_key_origin: ChainKeyOrigin::TrustedDealer, ..genesis() };
        assert!(dealt.check().is_err());
        assert_eq!(Genesis { kind: NetworkKind::Test, ..dealt }.check(), Ok(()));
        let rich = Genesis { accounts: vec![(Principal::anonymous(), Cycles(1))], ..genesis() };
        assert!(rich.check().is_err());
    }

    #[test]
    fn a_committee_without_members_with_twins_or_with_a_torn_key_is_refused() {
        let node = genesis().nodes[0].clone();
        assert!(Genesis { nodes: Vec::new(), ..genesis() }.check().is_err());
        assert!(Genesis { nodes: vec![node.clone(), node], ..genesis() }.check().is_err());
        assert!(Genesis { chain_key: vec![0; 95], ..genesis() }.check().is_err());
        assert!(Genesis { leader_timeout_ms: genesis().heartbeat_ms, ..genesis() }.check().is_err());
    }

    #[test]
    fn a_network_where_nobody_may_publish_is_refused() {
        let listing =
            |publishers| Genesis { require_publisher_signature: RequiredSignature::OneOf(publishers), ..genesis() };
        assert_eq!(listing(BTreeSet::from([Principal::anonymous()])).check(), Ok(()));
        assert!(listing(BTreeSet::new()).check().is_err());
    }
}
