//! Signatures that are CBOR themselves: WebAuthn's and canisters'. IC interface specification, "Web Authentication" and
//! "Canister signatures". Form and size only; whether they hold is `mains-crypto`'s matter.

use crate::{
    WireError,
    cbor::{self, Caps},
    strict::{Blob, Map},
};
use ic_certification::{Certificate, HashTree};
use mains_types::limits;
use serde::{Deserialize, Deserializer, de::Visitor};
use std::fmt;

#[cfg(test)]
mod tests;

/// What a WebAuthn signature may take: three fields, the size of two of which has limits of its own.
const WEBAUTHN: Caps = Caps { bytes: limits::WEBAUTHN_SIGNATURE_BYTES_MAX, depth: 1, items: 7 };
/// What a canister signature, or a certificate in it, may take. Stock clients nest 128 deep.
const CERTIFIED: Caps = Caps { bytes: limits::CANISTER_SIGNATURE_BYTES_MAX, depth: 127, items: 8_192 };

/// What an authenticator made of a challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebAuthnSignature {
    /// What the authenticator says of itself and the site.
    pub authenticator_data: Vec<u8>,
    /// What the browser says of the challenge; JSON.
    pub client_data_json: Vec<u8>,
    /// Over the two.
    pub signature: Vec<u8>,
}

/// What a canister certified of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanisterSignature {
    /// A certificate that shows the canister's certified data; CBOR.
    pub certificate: Vec<u8>,
    /// The tree whose root that data is.
    pub tree: HashTree,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WebAuthnFields {
    authenticator_data: Blob,
    client_data_json: TextOrBlob,
    signature: Blob,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CanisterFields {
    certificate: Blob,
    tree: HashTree,
}

/// A text, as the specification has it, or a byte string, as some clients have always sent it.
struct TextOrBlob(Vec<u8>);

impl<'de> Deserialize<'de> for TextOrBlob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrBlobVisitor;

        impl Visitor<'_> for TextOrBlobVisitor {
            type Value = TextOrBlob;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E>(self, text: &str) -> Result<TextOrBlob, E> {
                Ok(TextOrBlob(text.as_bytes().to_vec()))
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<TextOrBlob, E> {
                Ok(TextOrBlob(bytes.to_vec()))
            }
        }

        deserializer.deserialize_any(TextOrBlobVisitor)
    }
}

impl WebAuthnSignature {
    /// Reads a signature, self-described or not.
    ///
    /// # Errors
    /// Too large, not CBOR, bytes behind it, another field, or one missing, twice there or of another kind.
    pub fn read(bytes: &[u8]) -> Result<Self, WireError> {
        let Map(fields): Map<WebAuthnFields> = cbor::decode_named(bytes, &WEBAUTHN)?;
        Ok(Self {
            authenticator_data: fields.authenticator_data.0,
            client_data_json: fields.client_data_json.0,
            signature: fields.signature.0,
        })
    }
}

impl CanisterSignature {
    /// Reads a signature, self-described or not. The certificate in it is not read yet.
    ///
    /// # Errors
    /// As [`WebAuthnSignature::read`].
    pub fn read(bytes: &[u8]) -> Result<Self, WireError> {
        let Map(fields): Map<CanisterFields> = cbor::decode_named(bytes, &CERTIFIED)?;
        Ok(Self { certificate: fields.certificate.0, tree: fields.tree })
    }
}

/// Reads the certificate in a signature, self-described or not.
///
/// # Errors
/// As [`WebAuthnSignature::read`].
pub fn read_certificate(bytes: &[u8]) -> Result<Certificate, WireError> {
    let Map(certificate) = cbor::decode_named(bytes, &CERTIFIED)?;
    Ok(certificate)
}

/// First and last id of a range of canisters, as bytes.
pub type CanisterRange = (Vec<u8>, Vec<u8>);

/// Reads the ranges of canister ids in a certificate.
///
/// # Errors
/// As [`WebAuthnSignature::read`].
pub fn read_canister_ranges(bytes: &[u8]) -> Result<Vec<CanisterRange>, WireError> {
    let ranges: Vec<(Blob, Blob)> = cbor::decode_within(bytes, &CERTIFIED)?;
    Ok(ranges.into_iter().map(|(first, last)| (first.0, last.0)).collect())
}
