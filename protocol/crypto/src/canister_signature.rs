//! Signatures of canisters: a canister signs by having what it signs certified. IC interface specification, "Canister
//! signatures".

use crate::{AuthError, RootOfTrust, SignatureError};
use ic_certification::{HashTree, HashTreeNode, LookupResult};
use mains_types::{CanisterId, Principal};
use mains_wire::{CanisterSignature, signature};
use sha2::{Digest, Sha256};

/// A canister as a signer: for each seed it has one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CanisterKey {
    /// Who signs.
    pub(crate) canister: CanisterId,
    /// Which of its keys.
    seed: Vec<u8>,
}

impl CanisterKey {
    /// Reads `length of id, id, seed`.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, AuthError> {
        let malformed = AuthError::KeyInvalid { algorithm: "canister signature" };
        let (length, rest) = bytes.split_first().ok_or_else(|| malformed.clone())?;
        let (id, seed) = rest.split_at_checked(usize::from(*length)).ok_or_else(|| malformed.clone())?;
        let canister = Principal::try_from_slice(id).map_err(|_| malformed)?;
        Ok(Self { canister, seed: seed.to_vec() })
    }

    pub(crate) fn verify(&self, message: &[u8], bytes: &[u8], trust: &RootOfTrust) -> Result<(), SignatureError> {
        let read = |part| move |reason| SignatureError::Malformed { part, reason };
        let signature = CanisterSignature::read(bytes).map_err(read("the canister signature"))?;
        let certificate = signature::read_certificate(&signature.certificate).map_err(read("the certificate"))?;
        if !is_well_formed(&signature.tree) {
            return Err(SignatureError::TreeMalformed);
        }
        let (seed, message) = (Sha256::digest(&self.seed), Sha256::digest(message));
        if signature.tree.lookup_path([&b"sig"[..], &seed, &message]) != LookupResult::Found(b"") {
            return Err(SignatureError::NotInTree);
        }
        let path = [&b"canister"[..], self.canister.as_slice(), b"certified_data"];
        if certificate.tree.lookup_path(path) != LookupResult::Found(&signature.tree.digest()) {
            return Err(SignatureError::NotCertified);
        }
        // Last, because it takes longest.
        trust.check(&certificate, &self.canister)
    }
}

/// Whether labels ascend on every level, and no level mixes a leaf with labels, so that a path leads to one place.
fn is_well_formed(tree: &HashTree) -> bool {
    /// Walks a level from left to right.
    fn level<'t>(node: &'t HashTreeNode, newest: &mut Option<&'t [u8]>) -> bool {
        match node {
            HashTreeNode::Empty() | HashTreeNode::Pruned(_) => true,
            HashTreeNode::Leaf(_) => false,
            HashTreeNode::Fork(sides) => level(&sides.0, newest) && level(&sides.1, newest),
            HashTreeNode::Labeled(label, content) => {
                let ascends = newest.is_none_or(|before| before < label.as_bytes());
                *newest = Some(label.as_bytes());
                ascends && subtree(content)
            }
        }
    }
    fn subtree(node: &HashTreeNode) -> bool {
        matches!(node, HashTreeNode::Leaf(_)) || level(node, &mut None)
    }
    subtree(tree.as_ref())
}
