//! Certificates: parsed, verified with nothing but the root key, and looked up in.
//!
//! Uses `ic-certification` for the tree and `ic-verify-bls-signature` for the signature, both written by others than the
//! node's code: what passes here also passes in any client of the Internet Computer.

use ic_certification::LookupResult;
use mains_types::{Cycles, Height, RequestId, UnixNanos};

use crate::outcome::{Rejection, Status};

/// What precedes the 96 bytes of a BLS public key in its DER form.
pub(crate) const ROOT_KEY_PREFIX: [u8; 37] = [
    0x30, 0x81, 0x82, 0x30, 0x1d, 0x06, 0x0d, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0xdc, 0x7c, 0x05, 0x03, 0x01, 0x02,
    0x01, 0x06, 0x0c, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0xdc, 0x7c, 0x05, 0x03, 0x02, 0x01, 0x03, 0x61, 0x00,
];
/// Domain separator of state roots (interface specification, "Certificate").
const STATE_ROOT_DOMAIN: &[u8] = b"\x0dic-state-root";

/// Why a certificate proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The bytes are no certificate.
    #[error("the certificate is malformed: {0}")]
    Malformed(String),
    /// The key is no DER-encoded BLS key of 133 bytes.
    #[error("the root key is not a DER-encoded BLS12-381 key of 133 bytes")]
    MalformedRootKey,
    /// The signature does not belong to this content and key.
    #[error("the threshold signature does not fit the root key: the certificate was altered or is another network's")]
    WrongSignature,
    /// A certificate of another subnet; this client talks to the root subnet only.
    #[error("the certificate carries a delegation, which this version does not follow")]
    Delegated,
    /// A path that must be there is not.
    #[error("the certificate does not show {0}")]
    Missing(&'static str),
}

/// What a certificate says about a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown<'a> {
    /// This value is there.
    Value(&'a [u8]),
    /// Nothing is there.
    Absent,
    /// It does not tell.
    Unknown,
}

/// A certificate whose signature was checked: every value in it was agreed on by the subnet.
#[derive(Clone, Debug)]
pub struct Certificate(ic_certification::Certificate);

impl Certificate {
    /// Parses `bytes` (CBOR) and verifies the threshold signature with `root_key` (DER, 133 bytes).
    ///
    /// # Errors
    /// Every [`CertificateError`]; nothing in a certificate that fails may be believed.
    pub fn verify(bytes: &[u8], root_key: &[u8]) -> Result<Self, CertificateError> {
        let key = root_key
            .strip_prefix(&ROOT_KEY_PREFIX)
            .filter(|key| key.len() == 96)
            .ok_or(CertificateError::MalformedRootKey)?;
        let certificate: ic_certification::Certificate =
            mains_wire::decode(bytes).map_err(|error| CertificateError::Malformed(error.to_string()))?;
        if certificate.delegation.is_some() {
            return Err(CertificateError::Delegated);
        }
        let mut message = STATE_ROOT_DOMAIN.to_vec();
        message.extend_from_slice(&certificate.tree.digest());
        ic_verify_bls_signature::verify_bls_signature(&certificate.signature, &message, key)
            .map_err(|()| CertificateError::WrongSignature)?;
        Ok(Self(certificate))
    }

    /// [`Certificate::verify`] of bytes in hex.
    ///
    /// # Errors
    /// Every [`CertificateError`].
    pub fn from_hex(text: &str, root_key: &[u8]) -> Result<Self, CertificateError> {
        let bytes = hex::decode(text).map_err(|_| CertificateError::Malformed("it is not hex".into()))?;
        Self::verify(&bytes, root_key)
    }

    /// The state root that was signed.
    pub fn root(&self) -> [u8; 32] {
        self.0.tree.digest()
    }

    /// The value at `path`, or `None` if the certificate does not show one.
    pub fn value(&self, path: &[&[u8]]) -> Option<&[u8]> {
        match self.0.tree.lookup_path(path) {
            LookupResult::Found(value) => Some(value),
            LookupResult::Absent | LookupResult::Unknown | LookupResult::Error => None,
        }
    }

    /// What the certificate says about `path`.
    pub fn shown(&self, path: &[&[u8]]) -> Shown<'_> {
        match self.0.tree.lookup_path(path) {
            LookupResult::Found(value) => Shown::Value(value),
            LookupResult::Absent => Shown::Absent,
            LookupResult::Unknown | LookupResult::Error => Shown::Unknown,
        }
    }

    /// Block time of the state.
    ///
    /// # Errors
    /// [`CertificateError::Missing`] if the certificate does not show it.
    pub fn time(&self) -> Result<UnixNanos, CertificateError> {
        self.number(&[b"time"])
            .and_then(|nanos| nanos.try_into().ok())
            .map(UnixNanos)
            .ok_or(CertificateError::Missing("/time"))
    }

    /// Height of the state.
    ///
    /// # Errors
    /// [`CertificateError::Missing`] if the certificate does not show it.
    pub fn height(&self) -> Result<Height, CertificateError> {
        self.number(&[b"mains", b"height"])
            .and_then(|height| height.try_into().ok())
            .map(Height)
            .ok_or(CertificateError::Missing("/mains/height"))
    }

    /// What became of a request.
    ///
    /// # Errors
    /// [`CertificateError::Missing`] if the request has not ended or a field of its outcome is not shown.
    pub fn status(&self, request: &RequestId) -> Result<Status, CertificateError> {
        let field = |name: &'static str| self.value(&[b"request_status", &request.0, name.as_bytes()]);
        let missing = |name: &'static str| CertificateError::Missing(name);
        match field("status").ok_or(missing("the request's status"))? {
            b"replied" => Ok(Status::Ended(Ok(field("reply").ok_or(missing("the reply"))?.to_vec()))),
            b"rejected" => Ok(Status::Ended(Err(Rejection {
                code: field("reject_code").and_then(leb128).ok_or(missing("the reject code"))? as u64,
                message: field("reject_message").map(text).ok_or(missing("the reject message"))?,
                error_code: field("error_code").map(text),
            }))),
            b"done" => Ok(Status::Forgotten),
            _ => Ok(Status::Pending),
        }
    }

    /// Cycles that the request cost its canister, if the certificate shows it.
    pub fn cost(&self, request: &RequestId) -> Option<Cycles> {
        self.number(&[b"request_status", &request.0, b"cost"]).map(Cycles)
    }

    fn number(&self, path: &[&[u8]]) -> Option<u128> {
        self.value(path).and_then(leb128)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// An unsigned LEB128 number that takes all of `bytes`; `None` if it does not, or does not fit.
pub(crate) fn leb128(bytes: &[u8]) -> Option<u128> {
    let (last, rest) = bytes.split_last()?;
    if last & 0x80 != 0 || rest.iter().any(|byte| byte & 0x80 == 0) || bytes.len() > 19 {
        return None;
    }
    bytes.iter().rev().try_fold(0u128, |value, byte| value.checked_mul(128)?.checked_add(u128::from(byte & 0x7f)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leb128_numbers_are_read_whole_or_not_at_all() {
        assert_eq!(leb128(&[0]), Some(0));
        assert_eq!(leb128(&[0xe5, 0x8e, 0x26]), Some(624_485));
        assert_eq!(leb128(&[0x80]), None, "cut off");
        assert_eq!(leb128(&[1, 1]), None, "trailing bytes");
        assert_eq!(leb128(&[]), None);
        assert_eq!(leb128(&[0xff; 19]), None);
        let mut most = vec![0xff; 18];
        most.push(0x03);
        assert_eq!(leb128(&most), Some(u128::MAX));
        most[18] = 0x04;
        assert_eq!(leb128(&most), None, "beyond 128 bits");
    }

    #[test]
    fn garbage_and_foreign_keys_are_told_apart() {
        let mut key = ROOT_KEY_PREFIX.to_vec();
        key.extend_from_slice(&[0; 96]);
        assert_eq!(Certificate::verify(b"", &[0; 133]).unwrap_err(), CertificateError::MalformedRootKey);
        assert!(matches!(Certificate::verify(b"\xff\x00", &key), Err(CertificateError::Malformed(_))));
    }
}
