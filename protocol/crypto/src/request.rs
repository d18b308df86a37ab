//! From an envelope to a request whose sender is known.

use crate::{
    AuthError, RootOfTrust, UserKey,
    delegation::{Keys, Scope},
    domain,
};
use bytes::Bytes;
use mains_types::{CanisterId, Principal, RequestId, UnixNanos, limits};
use mains_wire::{Call, Content, Envelope, ReadState, SenderInfo, SignedDelegation};
use std::collections::BTreeSet;

/// A call whose sender is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedCall {
    method: Method,
    scope: Scope,
}

/// A query whose sender is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedQuery {
    method: Method,
}

/// A read_state request whose sender is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedReadState {
    request: ReadState,
    request_id: RequestId,
    targets: Option<BTreeSet<CanisterId>>,
}

/// What calls and queries have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Method {
    call: Call,
    request_id: RequestId,
    raw: Bytes,
}

macro_rules! method_accessors {
    ($type:ident) => {
        impl $type {
            /// The hash of the request's content.
            pub fn request_id(&self) -> RequestId {
                self.method.request_id
            }
            /// Who sent it.
            pub fn sender(&self) -> Principal {
                self.method.call.sender
            }
            /// Whose method.
            pub fn canister_id(&self) -> CanisterId {
                self.method.call.canister_id
            }
            /// The method's name.
            pub fn method_name(&self) -> &str {
                &self.method.call.method_name
            }
            /// Its argument.
            pub fn argument(&self) -> &[u8] {
                &self.method.call.arg
            }
            /// When the request is void.
            pub fn ingress_expiry(&self) -> UnixNanos {
                self.method.call.ingress_expiry
            }
            /// What the canister that the sender's key is of says about the sender.
            pub fn sender_info(&self) -> Option<&SenderInfo> {
                self.method.call.sender_info.as_ref()
            }
            /// The envelope it was read from; cheap to clone.
            pub fn raw(&self) -> &Bytes {
                &self.method.raw
            }
        }
    };
}

method_accessors!(VerifiedCall);
method_accessors!(VerifiedQuery);

impl VerifiedCall {
    /// Units of work that its signatures count for in a block: see [`limits::BLOCK_SIGNATURE_UNITS_MAX`].
    pub fn signature_units(&self) -> u32 {
        self.scope.signature_units
    }

    /// Whether the call may stand in a block of this time: the part of [`verify_call_at_block`] that depends on time.
    ///
    /// # Errors
    /// Expired, too far in the future, or by a delegation that has ended.
    pub fn check_at_block(&self, block_time: UnixNanos) -> Result<(), AuthError> {
        check_expiry(self.ingress_expiry(), block_time)?;
        self.scope.check_time(block_time)
    }
}

impl VerifiedReadState {
    /// The hash of the request's content.
    pub fn request_id(&self) -> RequestId {
        self.request_id
    }
    /// Who sent it.
    pub fn sender(&self) -> Principal {
        self.request.sender
    }
    /// What to read: lists of labels.
    pub fn paths(&self) -> &[Vec<Vec<u8>>] {
        &self.request.paths
    }
    /// The canisters that the sender's delegations are good for; `None`: all. A request's status may be read only if
    /// the request was for one of these.
    pub fn targets(&self) -> Option<&BTreeSet<CanisterId>> {
        self.targets.as_ref()
    }
}

/// Checks a call at the gateway, whose clock says `now`.
///
/// # Errors
/// Not a call, not in time, or not authentic.
pub fn verify_call(envelope: Envelope, now: UnixNanos, trust: &RootOfTrust) -> Result<VerifiedCall, AuthError> {
    let Content::Call(call) = envelope.content else { return Err(AuthError::WrongType { expected: "call" }) };
    check_expiry(call.ingress_expiry, now)?;
    let proof = Proof::of(&envelope.sender_pubkey, &envelope.sender_sig, &envelope.delegations);
    let mut scope = authenticate(call.sender, &envelope.request_id, proof, now, trust)?;
    scope.check_calls()?;
    scope.check_target(call.canister_id)?;
    scope.signature_units += check_sender_info(&call, &envelope.sender_pubkey, trust)?;
    Ok(VerifiedCall { method: Method { call, request_id: envelope.request_id, raw: envelope.raw }, scope })
}

/// Checks a call in a block of time `block_time`. The answer follows from the envelope, that time and the network's root
/// key alone, so all honest replicas give the same.
///
/// # Errors
/// As [`verify_call`].
pub fn verify_call_at_block(
    envelope: Envelope,
    block_time: UnixNanos,
    trust: &RootOfTrust,
) -> Result<VerifiedCall, AuthError> {
    // One rule: what the gateway takes at this time fits into a block of this time.
    verify_call(envelope, block_time, trust)
}

/// Checks a query at the gateway, whose clock says `now`. An anonymous one may have any expiry.
///
/// # Errors
/// Not a query, not in time, or not authentic.
pub fn verify_query(envelope: Envelope, now: UnixNanos, trust: &RootOfTrust) -> Result<VerifiedQuery, AuthError> {
    let Content::Query(call) = envelope.content else { return Err(AuthError::WrongType { expected: "query" }) };
    check_expiry_unless_anonymous(call.sender, call.ingress_expiry, now)?;
    let proof = Proof::of(&envelope.sender_pubkey, &envelope.sender_sig, &envelope.delegations);
    authenticate(call.sender, &envelope.request_id, proof, now, trust)?.check_target(call.canister_id)?;
    check_sender_info(&call, &envelope.sender_pubkey, trust)?;
    Ok(VerifiedQuery { method: Method { call, request_id: envelope.request_id, raw: envelope.raw } })
}

/// Checks a read_state request at the gateway, whose clock says `now`. An anonymous one may have any expiry. Whether
/// the sender may read these paths is decided elsewhere.
///
/// # Errors
/// Not a read_state request, not in time, or not authentic.
pub fn verify_read_state(
    envelope: Envelope,
    now: UnixNanos,
    trust: &RootOfTrust,
) -> Result<VerifiedReadState, AuthError> {
    let Content::ReadState(request) = envelope.content else {
        return Err(AuthError::WrongType { expected: "read_state request" });
    };
    check_expiry_unless_anonymous(request.sender, request.ingress_expiry, now)?;
    let proof = Proof::of(&envelope.sender_pubkey, &envelope.sender_sig, &envelope.delegations);
    let scope = authenticate(request.sender, &envelope.request_id, proof, now, trust)?;
    Ok(VerifiedReadState { request, request_id: envelope.request_id, targets: scope.targets })
}

/// The signed envelope of a call, for our own clients. `key_der` is the sender's key, `sign` signs a message with it.
pub fn sign_call(call: &Call, key_der: &[u8], sign: impl FnOnce(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let signature = sign(&domain::signable(&mains_wire::call_id(call)));
    mains_wire::encode_call(call, Some((key_der, &signature)))
}

/// What an envelope shows for its sender.
struct Proof<'a> {
    key: Option<&'a [u8]>,
    signature: Option<&'a [u8]>,
    delegations: &'a [SignedDelegation],
}

impl<'a> Proof<'a> {
    fn of(key: &'a Option<Vec<u8>>, signature: &'a Option<Vec<u8>>, delegations: &'a [SignedDelegation]) -> Self {
        Self { key: key.as_deref(), signature: signature.as_deref(), delegations }
    }
}

/// The sender is who they claim to be, at this time. Cheap checks come before signatures.
fn authenticate(
    sender: Principal,
    request_id: &RequestId,
    proof: Proof<'_>,
    now: UnixNanos,
    trust: &RootOfTrust,
) -> Result<Scope, AuthError> {
    let (key, signature) = match proof {
        Proof { key: None, signature: None, delegations: [] } if sender == Principal::anonymous() => {
            return Ok(Scope::default());
        }
        _ if sender == Principal::anonymous() => return Err(AuthError::AnonymousSigned),
        Proof { key: Some(key), signature: Some(signature), .. } => (key, signature),
        _ => return Err(AuthError::SignatureMissing { sender }),
    };
    let owner = Principal::self_authenticating(key);
    if owner != sender {
        return Err(AuthError::SenderMismatch { sender, owner });
    }
    let mut scope = Scope::of(key, proof.delegations)?;
    scope.check_time(now)?;
    let keys = Keys::of(key, proof.delegations)?;
    keys.check(proof.delegations, &domain::signable(request_id), signature, trust)?;
    scope.signature_units = keys.signature_units();
    Ok(scope)
}

/// What is said about the sender is signed with the sender's own key, which is the signer's. Returns the units of work that
/// this signature counts for.
fn check_sender_info(call: &Call, key: &Option<Vec<u8>>, trust: &RootOfTrust) -> Result<u32, AuthError> {
    let Some(SenderInfo { info, signer, sig }) = &call.sender_info else { return Ok(0) };
    let key = key.as_deref().map(UserKey::from_der).transpose()?;
    let key = key.filter(|key| key.canister() == Some(*signer));
    let key = key.ok_or(AuthError::SenderInfoSigner { signer: *signer })?;
    key.verify(&domain::sender_info_signable(info), sig, trust).map_err(AuthError::SenderInfoInvalid)?;
    Ok(key.signature_units())
}

fn check_expiry_unless_anonymous(sender: Principal, expiry: UnixNanos, now: UnixNanos) -> Result<(), AuthError> {
    if sender == Principal::anonymous() { Ok(()) } else { check_expiry(expiry, now) }
}

fn check_expiry(expiry: UnixNanos, now: UnixNanos) -> Result<(), AuthError> {
    let latest = now
        .saturating_add_nanos(limits::INGRESS_EXPIRY_MAX_NANOS)
        .saturating_add_nanos(limits::INGRESS_EXPIRY_DRIFT_NANOS);
    if expiry <= now {
        Err(AuthError::Expired { expiry, now })
    } else if expiry > latest {
        Err(AuthError::TooFarInFuture { expiry, latest })
    } else {
        Ok(())
    }
}
