//! Requests: `call`, `query` and `read_state` with what authenticates them.

mod raw;

#[cfg(test)]
mod tests;

use crate::{
    WireError,
    cbor::{self, Caps},
    request_hash,
};
use bytes::Bytes;
use mains_types::{CanisterId, Principal, RequestId, UnixNanos, limits};

/// What an envelope may take: the paths and delegations it may have, and some room for the rest.
const ENVELOPE: Caps = Caps {
    bytes: limits::HTTP_BODY_BYTES_MAX,
    depth: limits::CBOR_DEPTH_MAX,
    items: limits::READ_STATE_PATHS_MAX * (limits::READ_STATE_LABELS_MAX + 1)
        + limits::DELEGATIONS_MAX * (limits::DELEGATION_TARGETS_MAX + 16)
        + 64,
};

/// A request whose form and sizes are right. Nothing is known yet about who sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The bytes it was read from: what goes into a block.
    pub raw: Bytes,
    /// What is asked for.
    pub content: Content,
    /// The hash of [`Envelope::content`]. Signatures are no part of it: the same request with another valid signature
    /// has the same id.
    pub request_id: RequestId,
    /// DER form of the key that the sender's principal is made of.
    pub sender_pubkey: Option<Vec<u8>>,
    /// Signature over the request id, by that key or the last one it delegated to.
    pub sender_sig: Option<Vec<u8>>,
    /// The chain from the sender's key to the signing one; empty if the sender's key signed.
    pub delegations: Vec<SignedDelegation>,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Run a method in consensus.
    Call(Call),
    /// Run a method on one replica.
    Query(Call),
    /// Read certified state.
    ReadState(ReadState),
}

/// A method to run: calls and queries have the same fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Whose method.
    pub canister_id: CanisterId,
    /// Its name.
    pub method_name: String,
    /// Its argument.
    pub arg: Vec<u8>,
    /// Who claims to ask.
    pub sender: Principal,
    /// When the request is void.
    pub ingress_expiry: UnixNanos,
    /// Makes equal requests differ, at most 32 bytes.
    pub nonce: Option<Vec<u8>>,
    /// What a canister says about the sender.
    pub sender_info: Option<SenderInfo>,
}

/// What a canister says about the sender of a request, for the canister that is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SenderInfo {
    /// What it says.
    pub info: Vec<u8>,
    /// Which canister claims to say it.
    pub signer: CanisterId,
    /// Its canister signature.
    pub sig: Vec<u8>,
}

/// Paths of the state tree to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadState {
    /// Who claims to ask.
    pub sender: Principal,
    /// When the request is void.
    pub ingress_expiry: UnixNanos,
    /// Makes equal requests differ, at most 32 bytes.
    pub nonce: Option<Vec<u8>>,
    /// What to read: lists of labels.
    pub paths: Vec<Vec<Vec<u8>>>,
}

/// A delegation with the delegating key's signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedDelegation {
    /// What is delegated.
    pub delegation: Delegation,
    /// By the key before it in the chain.
    pub signature: Vec<u8>,
}

/// Lets another key act for this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegation {
    /// DER form of the key that may act.
    pub pubkey: Vec<u8>,
    /// When it ends.
    pub expiration: UnixNanos,
    /// The canisters it is good for; `None`: all.
    pub targets: Option<Vec<Principal>>,
    /// The kinds of requests it is good for; `None`: all.
    pub permissions: Option<Permissions>,
}

/// The kinds of requests a delegation is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permissions {
    /// Only queries and read_state.
    Queries,
    /// All.
    All,
}

impl Content {
    /// Who claims to ask.
    pub fn sender(&self) -> Principal {
        match self {
            Self::Call(call) | Self::Query(call) => call.sender,
            Self::ReadState(request) => request.sender,
        }
    }

    /// When the request is void.
    pub fn ingress_expiry(&self) -> UnixNanos {
        match self {
            Self::Call(call) | Self::Query(call) => call.ingress_expiry,
            Self::ReadState(request) => request.ingress_expiry,
        }
    }

    fn request_id(&self) -> RequestId {
        match self {
            Self::Call(call) => request_hash::call_id(call),
            Self::Query(query) => request_hash::query_id(query),
            Self::ReadState(request) => request_hash::read_state_id(request),
        }
    }
}

impl Envelope {
    /// Reads a request and copies its bytes; see [`Envelope::from_bytes`].
    ///
    /// # Errors
    /// As [`Envelope::from_bytes`].
    pub fn parse(raw: &[u8]) -> Result<Self, WireError> {
        // Checked before the copy too.
        if raw.len() > ENVELOPE.bytes {
            return Err(WireError::TooLarge { actual: raw.len(), limit: ENVELOPE.bytes });
        }
        Self::from_bytes(Bytes::copy_from_slice(raw))
    }

    /// Reads a request, self-described or not.
    ///
    /// # Errors
    /// Not CBOR, trailing bytes, a field that is unknown, missing, twice there or of another kind; beyond one of the
    /// limits.
    pub fn from_bytes(raw: Bytes) -> Result<Self, WireError> {
        let envelope: raw::Envelope = cbor::decode_named(&raw, &ENVELOPE)?;
        let (content, sender_pubkey, sender_sig, delegations) = envelope.checked()?;
        if matches!(content, Content::Call(_)) && raw.len() > limits::INGRESS_BYTES_MAX {
            return Err(WireError::TooLarge { actual: raw.len(), limit: limits::INGRESS_BYTES_MAX });
        }
        Ok(Self { request_id: content.request_id(), raw, content, sender_pubkey, sender_sig, delegations })
    }
}
