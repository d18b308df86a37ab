//! Who votes: the committee's keys, the vote scheme and the names that separate one network's votes from another's.

use crate::ConsensusError;
use commonware_codec::{Copying, DecodeExt as _};
use commonware_cryptography::{Signer as _, ed25519};
use commonware_utils::ordered::Set;
use mains_types::NodeId;

/// A member's identity on the network and in votes.
pub type PublicKey = ed25519::PublicKey;
/// The secret behind a [`PublicKey`].
pub type PrivateKey = ed25519::PrivateKey;
/// How votes are signed. Attributable: a double vote can be proven, participation can be counted.
pub type Scheme = commonware_consensus::simplex::scheme::ed25519::Scheme;

/// Members of a committee: bounds certificates (about 64 bytes a member) and the decoding of the chain key.
pub const MEMBERS_MAX: usize = 128;

/// The members of a subnet in the order of their keys; a member's index is its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committee {
    members: Set<PublicKey>,
}

impl Committee {
    /// The committee with these ed25519 keys (32 bytes each), in any order.
    ///
    /// # Errors
    /// No or too many members, a key twice, bytes that are no key.
    pub fn new(keys: &[[u8; 32]]) -> Result<Self, ConsensusError> {
        let mut members = Vec::with_capacity(keys.len());
        for (index, key) in keys.iter().enumerate() {
            members.push(public_key(key).ok_or(ConsensusError::MemberKey { index })?);
        }
        members.sort();
        members.dedup();
        if members.is_empty() || members.len() > MEMBERS_MAX || members.len() != keys.len() {
            return Err(ConsensusError::CommitteeSize { count: members.len() });
        }
        Ok(Self { members: Set::from_iter_dedup(members) })
    }

    /// How many members there are.
    #[allow(clippy::len_without_is_empty)] // never empty
    pub fn len(&self) -> u32 {
        self.members.len() as u32
    }

    /// Members that may be faulty: `f` of `n >= 3f + 1`.
    pub fn faults(&self) -> u32 {
        (self.len() - 1) / 3
    }

    /// Members whose agreement decides: `n - f`.
    pub fn quorum(&self) -> u32 {
        self.len() - self.faults()
    }

    /// The members, sorted.
    pub fn members(&self) -> &Set<PublicKey> {
        &self.members
    }

    /// A member's index.
    pub fn index(&self, key: &PublicKey) -> Option<u32> {
        self.members.position(key).map(|index| index as u32)
    }

    /// The scheme of a member, which signs votes.
    ///
    /// # Errors
    /// [`ConsensusError::NotMember`].
    pub fn signer(&self, namespace: &[u8], key: PrivateKey) -> Result<Scheme, ConsensusError> {
        Scheme::signer(namespace, self.members.clone(), key).ok_or(ConsensusError::NotMember)
    }

    /// The scheme of an observer, which only verifies.
    pub fn verifier(&self, namespace: &[u8]) -> Scheme {
        Scheme::verifier(namespace, self.members.clone())
    }
}

/// The prefix of everything a committee signs: votes of another network or another genesis never count here.
pub fn namespace(network: &str, genesis: &[u8; 32]) -> Vec<u8> {
    [b"mains/consensus/1/", network.as_bytes(), b"/", genesis].concat()
}

/// The secret key with this 32-byte seed (RFC 8032).
///
/// # Panics
/// Never: every seed is a key.
pub fn private_key(seed: &[u8; 32]) -> PrivateKey {
    PrivateKey::decode(Copying(seed)).expect("every 32 bytes are an ed25519 seed")
}

/// The public key with these bytes, or `None` if they are none.
pub fn public_key(bytes: &[u8; 32]) -> Option<PublicKey> {
    PublicKey::decode(Copying(bytes)).ok()
}

/// The public key of a seed.
pub fn public_key_of(seed: &[u8; 32]) -> PublicKey {
    private_key(seed).public_key()
}

/// The bytes of a public key.
pub fn key_bytes(key: &PublicKey) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(key.as_ref());
    bytes
}

/// The node id of a key.
pub fn node_id(key: &PublicKey) -> NodeId {
    mains_crypto::node_id(&key_bytes(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(count: u8) -> Vec<[u8; 32]> {
        (0..count).map(|seed| key_bytes(&public_key_of(&[seed; 32]))).collect()
    }

    #[test]
    fn members_are_sorted_whatever_the_order_they_were_given_in() {
        let mut given = keys(7);
        let committee = Committee::new(&given).expect("valid");
        given.reverse();
        assert_eq!(committee, Committee::new(&given).expect("valid"));
        given.sort();
        for (index, key) in given.iter().enumerate() {
            assert_eq!(committee.index(&public_key(key).expect("key")), Some(index as u32));
        }
    }

    #[test]
    fn a_quorum_is_all_but_the_third_that_may_fail() {
        for (count, faults, quorum) in [(1, 0, 1), (3, 0, 3), (4, 1, 3), (7, 2, 5), (13, 4, 9), (40, 13, 27)] {
            let committee = Committee::new(&keys(count)).expect("valid");
            assert_eq!((committee.faults(), committee.quorum()), (faults, quorum), "{count} members");
        }
    }

    #[test]
    fn a_committee_of_nobody_of_twins_or_of_no_keys_is_refused() {
        assert_eq!(Committee::new(&[]), Err(ConsensusError::CommitteeSize { count: 0 }));
        let twins = [keys(1), keys(1)].concat();
        assert_eq!(Committee::new(&twins), Err(ConsensusError::CommitteeSize { count: 1 }));
        let not_a_point = (0u8..=255).map(|byte| [byte; 32]).find(|bytes| public_key(bytes).is_none()).expect("one");
        assert_eq!(Committee::new(&[not_a_point]), Err(ConsensusError::MemberKey { index: 0 }));
    }

    #[test]
    fn another_network_or_genesis_has_another_namespace() {
        let ours = namespace("alpha", &[1; 32]);
        assert_ne!(ours, namespace("beta", &[1; 32]));
        assert_ne!(ours, namespace("alpha", &[2; 32]));
    }
}
