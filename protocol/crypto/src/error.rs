//! Why a request is not authentic.

use crate::SignatureError;
use mains_types::{CanisterId, Principal, UnixNanos};
use thiserror::Error;

/// Why a request is not authentic. Nothing has been kept of it.
///
/// Only [`AuthError::Expired`], [`AuthError::TooFarInFuture`] and [`AuthError::DelegationExpired`] depend on time; all
/// others hold for ever.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AuthError {
    /// The request is void by now.
    #[error(
        "the request expired at {expiry}, and it is {now} (nanoseconds since 1970): check the clock, then sign again"
    )]
    Expired {
        /// Its expiry.
        expiry: UnixNanos,
        /// The time it was checked against.
        now: UnixNanos,
    },
    /// The request would have to be remembered for too long.
    #[error(
        "the request expires at {expiry}, later than {latest} (nanoseconds since 1970): check the clock, or let it expire sooner"
    )]
    TooFarInFuture {
        /// Its expiry.
        expiry: UnixNanos,
        /// The latest expiry allowed now.
        latest: UnixNanos,
    },
    /// Sent to an endpoint for another type.
    #[error("the request is not a {expected}")]
    WrongType {
        /// The type that belongs here.
        expected: &'static str,
    },
    /// The anonymous sender signs nothing.
    #[error("a request of the anonymous sender must carry no key, signature or delegation")]
    AnonymousSigned,
    /// Another sender must sign.
    #[error("the request of {sender} needs sender_pubkey and sender_sig")]
    SignatureMissing {
        /// The sender.
        sender: Principal,
    },
    /// The key is somebody else's.
    #[error("the sender is {sender}, but sender_pubkey belongs to {owner}")]
    SenderMismatch {
        /// Who claims to send.
        sender: Principal,
        /// Whose key it is.
        owner: Principal,
    },
    /// A kind of key, or a way to write one, that is not accepted here.
    #[error(
        "{what} is not accepted: use Ed25519, secp256k1 or P-256 in DER with an uncompressed point, a WebAuthn key or a canister signature"
    )]
    KeyUnsupported {
        /// What the key looks like.
        what: &'static str,
    },
    /// The key is no point of its curve, or not of its kind's form.
    #[error("the {algorithm} key is not valid")]
    KeyInvalid {
        /// The key's algorithm.
        algorithm: &'static str,
    },
    /// The request's signature does not verify.
    #[error("sender_sig is not a valid signature of the request: {0}")]
    SignatureInvalid(SignatureError),
    /// A delegation's signature does not verify.
    #[error("the signature of delegation {index} is not valid: {why}")]
    DelegationInvalid {
        /// Its place in the chain, from 0.
        index: usize,
        /// What is wrong with it.
        why: SignatureError,
    },
    /// What is said about the sender is not said by the canister that the sender's key is of.
    #[error("sender_info names {signer} as its signer, but sender_pubkey is no key of that canister")]
    SenderInfoSigner {
        /// Who is named.
        signer: CanisterId,
    },
    /// What is said about the sender is not signed by the sender's key.
    #[error("the signature of sender_info is not valid: {0}")]
    SenderInfoInvalid(SignatureError),
    /// A delegation has ended.
    #[error("delegation {index} expired at {expiration}, and it is {now} (nanoseconds since 1970): log in again")]
    DelegationExpired {
        /// Its place in the chain, from 0.
        index: usize,
        /// Its end.
        expiration: UnixNanos,
        /// The time it was checked against.
        now: UnixNanos,
    },
    /// More delegations than a chain may have.
    #[error("the chain has {actual} delegations, more than the {limit} allowed")]
    DelegationsTooMany {
        /// Delegations.
        actual: usize,
        /// Delegations allowed.
        limit: usize,
    },
    /// More canister signatures than a request may show.
    #[error("the request has {actual} canister signatures, more than the {limit} allowed")]
    CanisterSignaturesTooMany {
        /// Canister signatures.
        actual: usize,
        /// Canister signatures allowed.
        limit: usize,
    },
    /// A key delegates to one that is before it in the chain.
    #[error("delegation {index} names a key that is in the chain already")]
    DelegationCycle {
        /// Its place in the chain, from 0.
        index: usize,
    },
    /// More targets than a delegation may name.
    #[error("delegation {index} has {actual} targets, more than the {limit} allowed")]
    TargetsTooMany {
        /// Its place in the chain, from 0.
        index: usize,
        /// Targets.
        actual: usize,
        /// Targets allowed.
        limit: usize,
    },
    /// The chain is not good for this canister.
    #[error("the delegations are not good for canister {canister}")]
    TargetNotAllowed {
        /// The canister.
        canister: CanisterId,
    },
    /// The chain is not good for calls.
    #[error("delegation {index} is good for queries only")]
    QueriesOnly {
        /// Its place in the chain, from 0.
        index: usize,
    },
}
