//! The key that a network's certificates are believed by.

use crate::{SignatureError, chain_key_from_der, verify_chain_signature};
use ic_certification::{Certificate, HashTreeNode, LookupResult, SubtreeLookupResult};
use mains_types::{CanisterId, Digest32};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeSet, VecDeque},
    sync::Mutex,
};

/// Certificates whose signature held: the newest so many are not checked again. About 1 MiB.
const REMEMBERED_MAX: usize = 8_192;

/// A network's root key, and what was found to be signed by it.
///
/// A threshold signature takes a hundred times as long to check as a user's, and a user who logged in through a canister
/// shows the same one with every request, so those that held are remembered. Answers are the same without.
#[derive(Debug)]
pub struct RootOfTrust {
    root_key: [u8; 96],
    remembered: Mutex<Remembered>,
}

#[derive(Debug, Default)]
struct Remembered {
    digests: BTreeSet<Digest32>,
    by_age: VecDeque<Digest32>,
}

impl RootOfTrust {
    /// Trusts this key.
    pub fn new(root_key: [u8; 96]) -> Self {
        Self { root_key, remembered: Mutex::default() }
    }

    /// Trusts a key in its DER form, 133 bytes; `None` if it is not one.
    pub fn from_der(der: &[u8]) -> Option<Self> {
        chain_key_from_der(der).map(Self::new)
    }

    /// Checks that the subnet that `canister` is on signed the certificate: with the root key, or with one that the root
    /// key gave that subnet. When it was signed does not count. Follows one delegation, as the interface specification
    /// says.
    pub(crate) fn check(&self, certificate: &Certificate, canister: &CanisterId) -> Result<(), SignatureError> {
        let Some(delegation) = &certificate.delegation else {
            return self.signed(certificate, &self.root_key).then_some(()).ok_or(SignatureError::Certificate);
        };
        let refused = |what| Err(SignatureError::Delegation { what });
        let proof = mains_wire::signature::read_certificate(&delegation.certificate)
            .map_err(|reason| SignatureError::Malformed { part: "the delegation's certificate", reason })?;
        if proof.delegation.is_some() {
            return refused("is itself delegated");
        }
        if !in_ranges(&proof, &delegation.subnet_id, canister) {
            return refused("is not for the canister that signed");
        }
        let path: [&[u8]; 3] = [b"subnet", &delegation.subnet_id, b"public_key"];
        let key = match proof.tree.lookup_path(path) {
            LookupResult::Found(der) => chain_key_from_der(der),
            _ => None,
        };
        let Some(key) = key else { return refused("shows no key of the subnet") };
        if !self.signed(&proof, &self.root_key) {
            return refused("is not signed by the root key");
        }
        self.signed(certificate, &key).then_some(()).ok_or(SignatureError::Certificate)
    }

    fn signed(&self, certificate: &Certificate, key: &[u8; 96]) -> bool {
        let root = certificate.tree.digest();
        let Ok(signature) = <&[u8; 48]>::try_from(&certificate.signature[..]) else { return false };
        let digest: Digest32 =
            Sha256::new().chain_update(key).chain_update(root).chain_update(signature).finalize().into();
        if self.remembered.lock().expect("no holder panics").digests.contains(&digest) {
            return true;
        }
        let holds = verify_chain_signature(&root, signature, key);
        if holds {
            self.remembered.lock().expect("no holder panics").add(digest);
        }
        holds
    }
}

impl Remembered {
    fn add(&mut self, digest: Digest32) {
        if !self.digests.insert(digest) {
            return;
        }
        self.by_age.push_back(digest);
        if self.by_age.len() > REMEMBERED_MAX
            && let Some(oldest) = self.by_age.pop_front()
        {
            self.digests.remove(&oldest);
        }
    }
}

/// Whether the certificate gives the canister's id to the subnet: in the shard of ranges that begins last before it, or
/// in the one list of older certificates.
fn in_ranges(certificate: &Certificate, subnet: &[u8], canister: &CanisterId) -> bool {
    let sharded: [&[u8]; 2] = [b"canister_ranges", subnet];
    let whole: [&[u8]; 3] = [b"subnet", subnet, b"canister_ranges"];
    let shards = certificate.tree.lookup_subtree(sharded);
    let ranges = match (&shards, certificate.tree.lookup_path(whole)) {
        (SubtreeLookupResult::Found(shards), _) => last_before(shards.as_ref(), canister.as_slice()),
        (_, LookupResult::Found(ranges)) => Some(ranges),
        _ => None,
    };
    let ranges = ranges.and_then(|ranges| mains_wire::signature::read_canister_ranges(ranges).ok());
    ranges.is_some_and(|ranges| {
        ranges.iter().any(|(first, last)| (&first[..]..=&last[..]).contains(&canister.as_slice()))
    })
}

/// The leaf under the greatest label up to `id`, on one level of a tree.
fn last_before<'t>(node: &'t HashTreeNode, id: &[u8]) -> Option<&'t [u8]> {
    match node {
        HashTreeNode::Fork(sides) => last_before(&sides.1, id).or_else(|| last_before(&sides.0, id)),
        HashTreeNode::Labeled(label, content) if label.as_bytes() <= id => match content.as_ref() {
            HashTreeNode::Leaf(ranges) => Some(ranges),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_signatures_are_remembered_and_the_oldest_forgotten() {
        let mut remembered = Remembered::default();
        let digest = |number: usize| -> Digest32 { Sha256::digest(number.to_be_bytes()).into() };
        for number in 0..REMEMBERED_MAX + 3 {
            remembered.add(digest(number));
            remembered.add(digest(number));
        }
        assert_eq!((remembered.digests.len(), remembered.by_age.len()), (REMEMBERED_MAX, REMEMBERED_MAX));
        assert!(!remembered.digests.contains(&digest(2)));
        assert!(remembered.digests.contains(&digest(3)));
    }
}
