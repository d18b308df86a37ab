//! Requests as they are written: every field optional, nothing checked but its kind.

use super::{Call, Content, Delegation, Permissions, ReadState, SenderInfo, SignedDelegation};
use crate::{
    WireError,
    strict::{Blob, Map},
};
use mains_types::{Principal, UnixNanos, limits};
use serde::Deserialize;

/// An envelope's parts once checked.
type Parts = (Content, Option<Vec<u8>>, Option<Vec<u8>>, Vec<SignedDelegation>);

/// An envelope as it is written.
pub(super) type Envelope = Map<EnvelopeFields>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EnvelopeFields {
    content: Map<ContentFields>,
    sender_pubkey: Option<Blob>,
    sender_sig: Option<Blob>,
    sender_delegation: Option<Vec<Map<SignedDelegationFields>>>,
    /// Older agents in JavaScript write a fresh expiry beside the content of read_state requests, too. It counts
    /// nowhere: the expiry is the content's.
    #[serde(rename = "ingress_expiry")]
    _ingress_expiry: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ContentFields {
    request_type: RequestType,
    sender: Option<Blob>,
    ingress_expiry: Option<u64>,
    nonce: Option<Blob>,
    canister_id: Option<Blob>,
    method_name: Option<String>,
    arg: Option<Blob>,
    paths: Option<Vec<Vec<Blob>>>,
    sender_info: Option<Map<SenderInfoFields>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SenderInfoFields {
    info: Blob,
    signer: Blob,
    sig: Blob,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum RequestType {
    Call,
    Query,
    ReadState,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignedDelegationFields {
    delegation: Map<DelegationFields>,
    signature: Blob,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DelegationFields {
    pubkey: Blob,
    expiration: u64,
    targets: Option<Vec<Blob>>,
    permissions: Option<PermissionsField>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum PermissionsField {
    Queries,
    All,
}

impl Envelope {
    pub(super) fn checked(self) -> Result<Parts, WireError> {
        let Map(fields) = self;
        let delegations = fields.sender_delegation.unwrap_or_default();
        within("sender_delegation", delegations.len(), limits::DELEGATIONS_MAX)?;
        let delegations = delegations.into_iter().map(|Map(fields)| fields.checked()).collect::<Result<_, _>>()?;
        Ok((
            fields.content.0.checked()?,
            fields.sender_pubkey.map(|b| b.0),
            fields.sender_sig.map(|b| b.0),
            delegations,
        ))
    }
}

impl ContentFields {
    fn checked(self) -> Result<Content, WireError> {
        let sender = principal("sender", required("sender", self.sender)?)?;
        let ingress_expiry = UnixNanos(required("ingress_expiry", self.ingress_expiry)?);
        let nonce = self.nonce.map(|nonce| nonce.0);
        within("nonce", nonce.as_ref().map_or(0, Vec::len), limits::NONCE_BYTES_MAX)?;
        if self.request_type == RequestType::ReadState {
            absent("canister_id", &self.canister_id)?;
            absent("method_name", &self.method_name)?;
            absent("arg", &self.arg)?;
            absent("sender_info", &self.sender_info)?;
            let paths = checked_paths(required("paths", self.paths)?)?;
            return Ok(Content::ReadState(ReadState { sender, ingress_expiry, nonce, paths }));
        }
        absent("paths", &self.paths)?;
        let canister_id = principal("canister_id", required("canister_id", self.canister_id)?)?;
        let method_name = required("method_name", self.method_name)?;
        within("method_name", method_name.len(), limits::METHOD_NAME_BYTES_MAX)?;
        let arg = required("arg", self.arg)?.0;
        let sender_info = self.sender_info.map(|Map(fields)| fields.checked()).transpose()?;
        let call = Call { canister_id, method_name, arg, sender, ingress_expiry, nonce, sender_info };
        Ok(if self.request_type == RequestType::Call { Content::Call(call) } else { Content::Query(call) })
    }
}

impl SenderInfoFields {
    fn checked(self) -> Result<SenderInfo, WireError> {
        within("sender_info", self.info.0.len(), limits::SENDER_INFO_BYTES_MAX)?;
        within("the signature of sender_info", self.sig.0.len(), limits::CANISTER_SIGNATURE_BYTES_MAX)?;
        Ok(SenderInfo { info: self.info.0, signer: principal("signer", self.signer)?, sig: self.sig.0 })
    }
}

impl SignedDelegationFields {
    fn checked(self) -> Result<SignedDelegation, WireError> {
        let Map(fields) = self.delegation;
        within("targets", fields.targets.as_ref().map_or(0, Vec::len), limits::DELEGATION_TARGETS_MAX)?;
        let targets = fields.targets.map(|list| list.into_iter().map(|id| principal("targets", id)).collect());
        let permissions = fields.permissions.map(|permissions| match permissions {
            PermissionsField::Queries => Permissions::Queries,
            PermissionsField::All => Permissions::All,
        });
        let delegation = Delegation {
            pubkey: fields.pubkey.0,
            expiration: UnixNanos(fields.expiration),
            targets: targets.transpose()?,
            permissions,
        };
        Ok(SignedDelegation { delegation, signature: self.signature.0 })
    }
}

fn checked_paths(paths: Vec<Vec<Blob>>) -> Result<Vec<Vec<Vec<u8>>>, WireError> {
    within("paths", paths.len(), limits::READ_STATE_PATHS_MAX)?;
    paths
        .into_iter()
        .map(|path| {
            within("a path", path.len(), limits::READ_STATE_LABELS_MAX)?;
            Ok(path.into_iter().map(|label| label.0).collect())
        })
        .collect()
}

fn principal(field: &'static str, blob: Blob) -> Result<Principal, WireError> {
    Principal::try_from_slice(&blob.0).map_err(|_| WireError::TooLong {
        what: field,
        actual: blob.0.len(),
        limit: Principal::MAX_LENGTH_IN_BYTES,
    })
}

fn required<T>(field: &str, value: Option<T>) -> Result<T, WireError> {
    value.ok_or_else(|| WireError::malformed(0, &format!("`{field}` is missing")))
}

fn absent<T>(field: &str, value: &Option<T>) -> Result<(), WireError> {
    match value {
        None => Ok(()),
        Some(_) => Err(WireError::malformed(0, &format!("`{field}` does not belong to this type of request"))),
    }
}

fn within(what: &'static str, actual: usize, limit: usize) -> Result<(), WireError> {
    if actual > limit { Err(WireError::TooLong { what, actual, limit }) } else { Ok(()) }
}
