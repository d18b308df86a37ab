//! Keys that users sign with.

use crate::AuthError;

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
/// The object identifier 1.3.6.1.4.1.56387.1: the Internet Computer's own kinds, `1` WebAuthn and `2` canister signatures.
const IC_KINDS: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xb8, 0x43, 0x01];
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
        Err(AuthError::KeyUnsupported { what: unsupported_kind(der) })
    }

    /// Whether `signature` is this key's over `message`, by the rule in the crate's first paragraphs.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.0 {
            Kind::Ed25519(key) => key.verify_signature(message, signature).is_ok(),
            Kind::Secp256k1(key) => key.verify_signature_with_malleability(message, signature),
            Kind::P256(key) => key.verify_signature(message, signature),
        }
    }
}

fn unsupported_kind(der: &[u8]) -> &'static str {
    let kind = der.windows(IC_KINDS.len() + 1).take(32).find_map(|window| match window.strip_prefix(IC_KINDS) {
        Some([1]) => Some("a WebAuthn key"),
        Some([2]) => Some("a canister signature"),
        _ => None,
    });
    kind.unwrap_or("this kind of key")
}
