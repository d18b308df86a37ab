//! A node's own key: its identity, and its signature under the answers to queries.

use crate::domain;
use ed25519_dalek::{Signer, SigningKey};
use mains_types::{NodeId, Reject, RequestId, UnixNanos};
use std::fmt;

/// The DER form (44 bytes) of a node's public key.
pub fn node_der(public: &[u8; 32]) -> Vec<u8> {
    ic_ed25519::PublicKey::convert_raw32_to_der(*public)
}

/// The id of the node with this public key: self-authenticating over its DER form.
pub fn node_id(public: &[u8; 32]) -> NodeId {
    NodeId::self_authenticating(node_der(public))
}

/// Whether `signature` is that node's over `message`. False for a key that is no point of the curve.
pub fn verify_node_signature(public: &[u8; 32], message: &[u8], signature: &[u8]) -> bool {
    ic_ed25519::PublicKey::deserialize_raw(public).is_ok_and(|key| key.verify_signature(message, signature).is_ok())
}

/// A node's Ed25519 key. Wiped from memory when dropped; never printed.
#[derive(Clone)]
pub struct NodeKey(SigningKey);

impl NodeKey {
    /// The key of a secret seed.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(SigningKey::from_bytes(&seed))
    }

    /// The seed, for the libraries that hold the same identity in a form of their own (votes, transport).
    pub fn seed(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The public key.
    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// The public key in DER, 44 bytes.
    pub fn der(&self) -> Vec<u8> {
        node_der(&self.public())
    }

    /// The node's id.
    pub fn node_id(&self) -> NodeId {
        node_id(&self.public())
    }

    /// Signs a query's answer. `timestamp` is the block time of the state the query ran on. 64 bytes.
    pub fn sign_query_response(
        &self,
        request_id: &RequestId,
        result: &Result<Vec<u8>, Reject>,
        timestamp: UnixNanos,
    ) -> Vec<u8> {
        self.0.sign(&domain::query_response_signable(request_id, result, timestamp)).to_bytes().to_vec()
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeKey({})", self.node_id())
    }
}
