//! Requests in the stock encoding (`ic-transport-types`), signed with each kind of user key. Fields are public: tests
//! spoil them on purpose.

use anyhow::Result;
use ic_transport_types::{Delegation, Envelope, EnvelopeContent, SignedDelegation};
use mains_types::{CanisterId, Principal, RequestId};
use std::{
    borrow::Cow,
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

/// Seconds that a request is valid unless a test says otherwise.
const VALIDITY_SECONDS: i64 = 240;
const NANOS: i64 = 1_000_000_000;

/// A user's key.
#[derive(Clone)]
pub enum Key {
    /// Ed25519.
    Ed25519(ic_ed25519::PrivateKey),
    /// ECDSA on secp256k1.
    Secp256k1(ic_secp256k1::PrivateKey),
    /// ECDSA on P-256.
    P256(ic_secp256r1::PrivateKey),
}

impl Key {
    /// An Ed25519 key; the same for the same number.
    pub fn ed25519(number: u8) -> Self {
        Self::Ed25519(ic_ed25519::PrivateKey::deserialize_raw_32(&[number; 32]))
    }

    /// A secp256k1 key; the same for the same number, which is not 0.
    ///
    /// # Panics
    /// For 0.
    pub fn secp256k1(number: u8) -> Self {
        Self::Secp256k1(ic_secp256k1::PrivateKey::deserialize_sec1(&[number; 32]).expect("below the group's order"))
    }

    /// A P-256 key; the same for the same number, which is not 0.
    ///
    /// # Panics
    /// For 0.
    pub fn p256(number: u8) -> Self {
        Self::P256(ic_secp256r1::PrivateKey::deserialize_sec1(&[number; 32]).expect("below the group's order"))
    }

    /// One of each kind, with its name.
    pub fn kinds(number: u8) -> [(&'static str, Self); 3] {
        [("Ed25519", Self::ed25519(number)), ("secp256k1", Self::secp256k1(number)), ("P-256", Self::p256(number))]
    }

    /// The public key, DER.
    pub fn der(&self) -> Vec<u8> {
        match self {
            Self::Ed25519(key) => key.public_key().serialize_rfc8410_der(),
            Self::Secp256k1(key) => key.public_key().serialize_der(),
            Self::P256(key) => key.public_key().serialize_der(),
        }
    }

    /// Whose key it is.
    pub fn principal(&self) -> Principal {
        Principal::self_authenticating(self.der())
    }

    /// The signature of a message, 64 bytes.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Ed25519(key) => key.sign_message(message).to_vec(),
            Self::Secp256k1(key) => key.sign_message_with_ecdsa(message).to_vec(),
            Self::P256(key) => key.sign_message(message).to_vec(),
        }
    }

    /// Delegates to another key until so many seconds from now.
    pub fn delegate(&self, to: &Self, seconds: i64) -> SignedDelegation {
        self.delegate_as(Delegation {
            pubkey: to.der(),
            expiration: from_now(seconds),
            targets: None,
            permissions: None,
        })
    }

    /// Signs a delegation.
    pub fn delegate_as(&self, delegation: Delegation) -> SignedDelegation {
        let signature = self.sign(&delegation.signable());
        SignedDelegation { delegation, signature }
    }
}

/// Nanoseconds since 1970, so many seconds from now.
pub fn from_now(seconds: i64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
    now.saturating_add_signed(seconds * NANOS)
}

/// A call that no other call is equal to.
pub fn call(sender: Principal, canister: CanisterId, method: &str, argument: &[u8]) -> EnvelopeContent {
    static NONCE: AtomicU64 = AtomicU64::new(0);
    EnvelopeContent::Call {
        nonce: Some(NONCE.fetch_add(1, Ordering::Relaxed).to_be_bytes().to_vec()),
        ingress_expiry: from_now(VALIDITY_SECONDS),
        sender,
        canister_id: canister,
        method_name: method.into(),
        arg: argument.to_vec(),
        sender_info: None,
    }
}

/// A query.
pub fn query(sender: Principal, canister: CanisterId, method: &str, argument: &[u8]) -> EnvelopeContent {
    EnvelopeContent::Query {
        nonce: None,
        ingress_expiry: from_now(VALIDITY_SECONDS),
        sender,
        canister_id: canister,
        method_name: method.into(),
        arg: argument.to_vec(),
        sender_info: None,
    }
}

/// The same request, void from so many seconds from now on.
pub fn expiring(mut content: EnvelopeContent, seconds: i64) -> EnvelopeContent {
    let (EnvelopeContent::Call { ingress_expiry, .. }
    | EnvelopeContent::Query { ingress_expiry, .. }
    | EnvelopeContent::ReadState { ingress_expiry, .. }) = &mut content;
    *ingress_expiry = from_now(seconds);
    content
}

/// A request without a signature.
pub fn unsigned(content: EnvelopeContent) -> Envelope<'static> {
    Envelope { content: Cow::Owned(content), sender_pubkey: None, sender_sig: None, sender_delegation: None }
}

/// A request signed with a key, which need not be the sender's.
pub fn signed(content: EnvelopeContent, key: &Key) -> Envelope<'static> {
    let signature = key.sign(&content.to_request_id().signable());
    Envelope { sender_pubkey: Some(key.der()), sender_sig: Some(signature), ..unsigned(content) }
}

/// A request of `owner`, signed by the last key of a chain of delegations.
pub fn delegated(
    content: EnvelopeContent,
    owner: &Key,
    chain: Vec<SignedDelegation>,
    signer: &Key,
) -> Envelope<'static> {
    Envelope { sender_pubkey: Some(owner.der()), sender_delegation: Some(chain), ..signed(content, signer) }
}

/// An anonymous call.
pub fn anonymous_call(canister: CanisterId, method: &str) -> Envelope<'static> {
    unsigned(call(Principal::anonymous(), canister, method, &[]))
}

/// A call by a key's owner.
pub fn signed_call(key: &Key, canister: CanisterId, method: &str) -> Envelope<'static> {
    signed(call(key.principal(), canister, method, &[]), key)
}

/// The id of a request.
pub fn id(envelope: &Envelope<'_>) -> RequestId {
    RequestId(*envelope.content.to_request_id())
}

/// Path of an endpoint for a canister; `part` is `call`, `query` or `read_state`.
pub fn path(canister: CanisterId, part: &str) -> String {
    let version = if part == "call" { "v4" } else { "v3" };
    format!("/api/{version}/canister/{canister}/{part}")
}

/// Adds an entry to the outermost map of an encoded request: key and value as CBOR.
///
/// # Errors
/// The request is no map of less than 23 entries.
pub fn with_entry(mut request: Vec<u8>, key: &str, value: &[u8]) -> Result<Vec<u8>> {
    let head = request.iter().position(|byte| (0xa0..0xb7).contains(byte));
    let head = head.ok_or_else(|| anyhow::anyhow!("a small map"))?;
    request[head] += 1;
    let key = mains_wire::encode(key);
    request.extend_from_slice(key.strip_prefix(&[0xd9, 0xd9, 0xf7]).unwrap_or(&key));
    request.extend_from_slice(value);
    Ok(request)
}
