//! Keys in authenticators (passkeys), which sign what a browser says that they were asked. IC interface specification,
//! "Web Authentication"; W3C Web Authentication, "Verifying an Authentication Assertion".
//!
//! Who may use a key on which site is between browser and authenticator: origin, relying party, flags and counters are
//! not looked at.

use crate::{AuthError, SignatureError};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use mains_types::limits;
use mains_wire::WebAuthnSignature;
use rsa::{BigUint, Pkcs1v15Sign, RsaPublicKey};
use serde::Deserialize;
use sha2::{Digest, Sha256};

// The one accepted form of each kind of key: the parameters that WebAuthn asks for and no others, in CTAP2's canonical
// CBOR. Between the pieces stand the key's own bytes.

/// EC2, ES256, P-256, x of 32 bytes.
const ES256: &[u8] = &[0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20];
/// y of 32 bytes.
const ES256_Y: &[u8] = &[0x22, 0x58, 0x20];
/// OKP, EdDSA, Ed25519, x of 32 bytes.
const EDDSA: &[u8] = &[0xa4, 0x01, 0x01, 0x03, 0x27, 0x20, 0x06, 0x21, 0x58, 0x20];
/// RSA, RS256, n whose length follows in two bytes.
const RS256: &[u8] = &[0xa4, 0x01, 0x03, 0x03, 0x39, 0x01, 0x00, 0x20, 0x59];
/// e = 65537.
const RS256_E: &[u8] = &[0x21, 0x43, 0x01, 0x00, 0x01];
const RSA_E: u32 = 65_537;

/// Bytes of authenticator data without extensions: digest of the site, flags, counter.
const AUTHENTICATOR_DATA_BYTES_MIN: usize = 37;

/// A key in an authenticator.
#[derive(Clone, Debug)]
pub(crate) enum WebAuthnKey {
    Es256(ic_secp256r1::PublicKey),
    EdDsa(ic_ed25519::PublicKey),
    Rs256(Box<RsaPublicKey>),
}

/// What is looked at of what a browser wrote.
#[derive(Deserialize)]
struct ClientData {
    r#type: String,
    challenge: String,
}

impl WebAuthnKey {
    /// Reads a COSE key.
    pub(crate) fn read(cose: &[u8]) -> Result<Self, AuthError> {
        let invalid = |algorithm| AuthError::KeyInvalid { algorithm };
        if let Some(point) = cose.strip_prefix(ES256) {
            let (x, rest) = point.split_at_checked(32).ok_or(invalid("WebAuthn P-256"))?;
            let y = rest.strip_prefix(ES256_Y).ok_or(invalid("WebAuthn P-256"))?;
            let key = ic_secp256r1::PublicKey::deserialize_from_xy(x, y);
            return key.map(Self::Es256).map_err(|_| invalid("WebAuthn P-256"));
        }
        if let Some(raw) = cose.strip_prefix(EDDSA) {
            let key = ic_ed25519::PublicKey::deserialize_raw(raw);
            return key.map(Self::EdDsa).map_err(|_| invalid("WebAuthn Ed25519"));
        }
        if let Some(rest) = cose.strip_prefix(RS256) {
            let key = rest.strip_suffix(RS256_E).and_then(rsa_key);
            return key.map(|key| Self::Rs256(Box::new(key))).ok_or(invalid("WebAuthn RSA"));
        }
        Err(AuthError::KeyUnsupported { what: "a WebAuthn key other than ES256, RS256 or EdDSA in canonical CBOR" })
    }

    pub(crate) fn verify(&self, message: &[u8], bytes: &[u8]) -> Result<(), SignatureError> {
        let signature = WebAuthnSignature::read(bytes)
            .map_err(|reason| SignatureError::Malformed { part: "the WebAuthn signature", reason })?;
        check_authenticator_data(&signature.authenticator_data)?;
        check_client_data(&signature.client_data_json, message)?;
        let signed = [&signature.authenticator_data[..], &Sha256::digest(&signature.client_data_json)].concat();
        let holds = match self {
            Self::Es256(key) => key.verify_signature_with_der_encoded_sig(&signed, &signature.signature),
            Self::EdDsa(key) => key.verify_signature(&signed, &signature.signature).is_ok(),
            Self::Rs256(key) => {
                let hashed = Sha256::digest(&signed);
                key.verify(Pkcs1v15Sign::new::<Sha256>(), &hashed, &signature.signature).is_ok()
            }
        };
        holds.then_some(()).ok_or(SignatureError::Wrong)
    }
}

/// The length of n, then n, which does not begin with a zero.
fn rsa_key(bytes: &[u8]) -> Option<RsaPublicKey> {
    let (length, n) = bytes.split_first_chunk::<2>()?;
    let is_whole = usize::from(u16::from_be_bytes(*length)) == n.len() && n.first().is_some_and(|first| *first != 0);
    let n = BigUint::from_bytes_be(n);
    let bits = limits::RSA_BITS_MIN..=limits::RSA_BITS_MAX;
    if !is_whole || !bits.contains(&n.bits()) {
        return None;
    }
    RsaPublicKey::new_with_max_size(n, RSA_E.into(), limits::RSA_BITS_MAX).ok()
}

fn check_authenticator_data(data: &[u8]) -> Result<(), SignatureError> {
    let (actual, min, max) = (data.len(), AUTHENTICATOR_DATA_BYTES_MIN, limits::AUTHENTICATOR_DATA_BYTES_MAX);
    if (min..=max).contains(&actual) { Ok(()) } else { Err(SignatureError::AuthenticatorData { actual, min, max }) }
}

fn check_client_data(json: &[u8], message: &[u8]) -> Result<(), SignatureError> {
    let malformed = SignatureError::ClientData { limit: limits::CLIENT_DATA_BYTES_MAX };
    // Derived readers would take an array of the fields' values too.
    if json.len() > limits::CLIENT_DATA_BYTES_MAX || json.first() != Some(&b'{') {
        return Err(malformed);
    }
    let data: ClientData = serde_json::from_slice(json).map_err(|_| malformed)?;
    if data.r#type != "webauthn.get" {
        return Err(SignatureError::ClientDataType);
    }
    // Compared in its encoded form, so that there is one.
    if data.challenge != URL_SAFE_NO_PAD.encode(message) {
        return Err(SignatureError::Challenge);
    }
    Ok(())
}
