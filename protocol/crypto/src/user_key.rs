//! Keys that users sign with.

use crate::{AuthError, RootOfTrust, SignatureError, canister_signature::CanisterKey, webauthn::WebAuthnKey};
use mains_types::{CanisterId, limits};
use rsa::pkcs8::spki::{ObjectIdentifier, SubjectPublicKeyInfoRef};

/// Prefixes of the one accepted DER form of each kind of key (SubjectPublicKeyInfo); the point follows.
const ED25519: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const SECP256K1: &[u8] = &[
    0x30, 0x56, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00,
    0x0a, 0x03, 0x42, 0x00,
];
const P256: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// The Internet Computer's own kinds of keys.
const WEBAUTHN: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.56387.1.1");
const CANISTER_SIGNATURE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.56387.1.2");
/// Bytes of an uncompressed point: `04`, x, y.
const POINT_BYTES: usize = 65;

/// A public key that a user may sign with.
#[derive(Clone, Debug)]
pub struct UserKey(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Ed25519(ic_ed25519::PublicKey),
    Secp256k1(ic_secp256k1::PublicKey),
    P256(ic_secp256r1::PublicKey),
    WebAuthn(WebAuthnKey),
    Canister(CanisterKey),
}

impl UserKey {
    /// Reads a key in DER.
    ///
    /// # Errors
    /// Another kind of key, another way to write one of these kinds, or no point of the curve.
    pub fn from_der(der: &[u8]) -> Result<Self, AuthError> {
        if let Some(raw) = der.strip_prefix(ED25519) {
            let key = ic_ed25519::PublicKey::deserialize_raw(raw);
            return key.map(|key| Self(Kind::Ed25519(key))).map_err(|_| AuthError::KeyInvalid { algorithm: "Ed25519" });
        }
        if let Some(point) = der.strip_prefix(SECP256K1).filter(|point| point.len() == POINT_BYTES) {
            let key = ic_secp256k1::PublicKey::deserialize_sec1(point);
            return key
                .map(|key| Self(Kind::Secp256k1(key)))
                .map_err(|_| AuthError::KeyInvalid { algorithm: "secp256k1" });
        }
        if let Some(point) = der.strip_prefix(P256).filter(|point| point.len() == POINT_BYTES) {
            let key = ic_secp256r1::PublicKey::deserialize_sec1(point);
            return key.map(|key| Self(Kind::P256(key))).map_err(|_| AuthError::KeyInvalid { algorithm: "P-256" });
        }
        Self::of_ic_kind(der)
    }

    /// Reads a key of the kinds that are the Internet Computer's own: no parameters, whole bytes, nothing behind.
    fn of_ic_kind(der: &[u8]) -> Result<Self, AuthError> {
        let unsupported = |what| AuthError::KeyUnsupported { what };
        if der.len() > limits::USER_KEY_BYTES_MAX {
            return Err(unsupported("a key as long as this"));
        }
        let info = SubjectPublicKeyInfoRef::try_from(der).map_err(|_| unsupported("this kind of key"))?;
        let bytes = info.subject_public_key.as_bytes().filter(|_| info.algorithm.parameters.is_none());
        let bytes = bytes.ok_or(unsupported("this kind of key"))?;
        match info.algorithm.oid {
            WEBAUTHN => WebAuthnKey::read(bytes).map(|key| Self(Kind::WebAuthn(key))),
            CANISTER_SIGNATURE => CanisterKey::read(bytes).map(|key| Self(Kind::Canister(key))),
            _ => Err(unsupported("this kind of key")),
        }
    }

    /// Checks that `signature` is this key's over `message`, by the rule in the crate's first paragraphs.
    ///
    /// # Errors
    /// It is not: says why.
    pub fn verify(&self, message: &[u8], signature: &[u8], trust: &RootOfTrust) -> Result<(), SignatureError> {
        let holds = match &self.0 {
            Kind::Ed25519(key) => key.verify_signature(message, signature).is_ok(),
            Kind::Secp256k1(key) => key.verify_signature_with_malleability(message, signature),
            Kind::P256(key) => key.verify_signature(message, signature),
            Kind::WebAuthn(key) => return key.verify(message, signature),
            Kind::Canister(key) => return key.verify(message, signature, trust),
        };
        holds.then_some(()).ok_or(SignatureError::Wrong)
    }

    /// Units of work that a check of one of its signatures counts for in a block, whatever is remembered.
    pub(crate) fn signature_units(&self) -> u32 {
        match &self.0 {
            Kind::Ed25519(_) | Kind::Secp256k1(_) | Kind::P256(_) => limits::SIGNATURE_UNITS,
            Kind::WebAuthn(_) => limits::SIGNATURE_UNITS_WEBAUTHN,
            Kind::Canister(_) => limits::SIGNATURE_UNITS_CANISTER,
        }
    }

    /// Whose key it is, if a canister's.
    pub(crate) fn canister(&self) -> Option<CanisterId> {
        match &self.0 {
            Kind::Canister(key) => Some(key.canister),
            _ => None,
        }
    }
}
