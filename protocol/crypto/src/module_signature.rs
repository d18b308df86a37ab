//! Who published a Wasm module: a signature in its first section, as the WebAssembly module signatures convention (`wasmsign2`) has it.
//!
//! The custom section `signature` stands before all others and covers every byte behind it, so that a module can be signed after it was
//! built and nothing of it is rewritten:
//!
//! ```text
//! version 1, content type 1 (module), hash function 1 (SHA-256), count of sets,
//! each set:        length, count of hashes, hashes (32 bytes each), count of signatures,
//! each signature:  length, length of key id, key id, algorithm 1 (Ed25519), length of signature, signature
//! ```
//! Signed is `wasmsig`, version, content type, hash function and the hashes. Here the key id is the public key itself (32 bytes),
//! so that the module says who published it; and there is one set with one hash and one signature.

use crate::{node_der, verify_node_signature};
use ed25519_dalek::{Signer, SigningKey};
use mains_types::{Digest32, Principal};
use sha2::{Digest, Sha256};
use std::ops::Range;

/// A publisher's Ed25519 key.
pub type PublisherKey = [u8; 32];

/// Magic number and version of a core module.
const HEADER: [u8; 8] = *b"\0asm\x01\0\0\0";
/// The section's name with its length.
const NAME: [u8; 10] = *b"\x09signature";
/// Version, content type, hash function.
const FORM: [u8; 3] = [1, 1, 1];
const DOMAIN: &[u8] = b"wasmsig";
const ED25519: u8 = 1;

/// Why a module's signature does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModuleSignatureError {
    /// It is no core module (a compressed one must be unpacked first).
    #[error("is no WebAssembly module")]
    NoModule,
    /// The section is not of the form described above.
    #[error("has a signature section that is not one Ed25519 signature of the whole module with its public key")]
    Malformed,
    /// Another module was signed, or by another key.
    #[error("has a publisher's signature that does not fit it")]
    Invalid,
}

/// How a publisher is called: the self-authenticating principal of its key, the same as of requests that it signs.
pub fn publisher_id(key: &PublisherKey) -> Principal {
    Principal::self_authenticating(node_der(key))
}

/// The module, signed by the Ed25519 key of a secret seed; a signature that it had is replaced.
///
/// # Errors
/// [`ModuleSignatureError::NoModule`].
pub fn sign_module(module: &[u8], seed: &[u8; 32]) -> Result<Vec<u8>, ModuleSignatureError> {
    let key = SigningKey::from_bytes(seed);
    let content = match section(module)? {
        Some(section) => &module[section.end..],
        None => &module[HEADER.len()..],
    };
    let hash: Digest32 = Sha256::digest(content).into();
    let signature = key.sign(&signed(&hash)).to_bytes();
    let mut one = vec![32];
    one.extend_from_slice(key.verifying_key().as_bytes());
    one.extend_from_slice(&[ED25519, 64]);
    one.extend_from_slice(&signature);
    let mut set = vec![1];
    set.extend_from_slice(&hash);
    set.extend_from_slice(&[1, one.len() as u8]);
    set.extend_from_slice(&one);
    let mut body = NAME.to_vec();
    body.extend_from_slice(&FORM);
    body.push(1);
    leb128(&mut body, set.len());
    body.extend_from_slice(&set);
    let mut out = HEADER.to_vec();
    out.push(0);
    leb128(&mut out, body.len());
    out.extend_from_slice(&body);
    out.extend_from_slice(content);
    Ok(out)
}

/// Who published the module: the key whose signature is in it, or nobody.
///
/// # Errors
/// There is a signature and it does not count: such a module is refused, not taken as unsigned.
pub fn module_publisher(module: &[u8]) -> Result<Option<PublisherKey>, ModuleSignatureError> {
    let Some(section) = section(module)? else { return Ok(None) };
    let (content, body) = (&module[section.end..], &module[section]);
    let (hash, key, signature) = read(&body[NAME.len()..]).ok_or(ModuleSignatureError::Malformed)?;
    let actual: Digest32 = Sha256::digest(content).into();
    if actual != hash || !verify_node_signature(&key, &signed(&hash), &signature) {
        return Err(ModuleSignatureError::Invalid);
    }
    Ok(Some(key))
}

fn signed(hash: &Digest32) -> Vec<u8> {
    [DOMAIN, &FORM, hash].concat()
}

/// Where the content of the signature section is (name included), if the first section is one.
fn section(module: &[u8]) -> Result<Option<Range<usize>>, ModuleSignatureError> {
    let rest = module.strip_prefix(&HEADER).ok_or(ModuleSignatureError::NoModule)?;
    let mut reader = Reader(rest);
    if reader.byte() != Some(0) {
        return Ok(None);
    }
    let Some(bytes) = reader.length() else { return Ok(None) };
    let start = module.len() - reader.0.len();
    Ok(reader.take(bytes).filter(|body| body.starts_with(&NAME)).map(|body| start..start + body.len()))
}

fn read(body: &[u8]) -> Option<(Digest32, PublisherKey, [u8; 64])> {
    let mut reader = Reader(body);
    reader.expect(&FORM)?;
    reader.expect(&[1])?;
    let bytes = reader.length()?;
    let mut set = Reader(reader.take(bytes)?);
    set.expect(&[1])?;
    let hash = set.take(32)?.try_into().ok()?;
    set.expect(&[1])?;
    let bytes = set.length()?;
    let mut one = Reader(set.take(bytes)?);
    one.expect(&[32])?;
    let key = one.take(32)?.try_into().ok()?;
    one.expect(&[ED25519, 64])?;
    let signature = one.take(64)?.try_into().ok()?;
    (reader.0.is_empty() && set.0.is_empty() && one.0.is_empty()).then_some((hash, key, signature))
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn expect(&mut self, bytes: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(bytes)?;
        Some(())
    }

    /// An unsigned LEB128 of at most 32 bits.
    fn length(&mut self) -> Option<usize> {
        let mut value = 0u64;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value).ok().map(|value| value as usize);
            }
        }
        None
    }
}

fn leb128(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module with one custom section.
    const MODULE: &[u8] = b"\0asm\x01\0\0\0\x00\x05\x04name";

    fn key(seed: u8) -> PublisherKey {
        SigningKey::from_bytes(&[seed; 32]).verifying_key().to_bytes()
    }

    #[test]
    fn a_signed_module_names_its_publisher_and_an_unsigned_one_nobody() {
        assert_eq!(module_publisher(MODULE), Ok(None));
        let signed = sign_module(MODULE, &[1; 32]).unwrap();
        assert_eq!(module_publisher(&signed), Ok(Some(key(1))));
        assert!(signed.ends_with(&MODULE[8..]));
    }

    #[test]
    fn signing_again_replaces_the_signature() {
        let twice = sign_module(&sign_module(MODULE, &[1; 32]).unwrap(), &[2; 32]).unwrap();
        assert_eq!(twice, sign_module(MODULE, &[2; 32]).unwrap());
    }

    #[test]
    fn no_byte_of_a_signed_module_can_be_another() {
        let signed = sign_module(MODULE, &[1; 32]).unwrap();
        let publisher = module_publisher(&signed);
        for at in 0..signed.len() {
            for bit in 0..8 {
                let mut other = signed.clone();
                other[at] ^= 1 << bit;
                assert_ne!(module_publisher(&other), publisher, "bit {bit} of byte {at}");
            }
        }
        for end in 0..signed.len() {
            assert_ne!(module_publisher(&signed[..end]), publisher);
        }
        assert_eq!(module_publisher(&[&signed[..], b"\0\x01\0"].concat()), Err(ModuleSignatureError::Invalid));
    }

    #[test]
    fn what_is_no_module_cannot_be_signed() {
        assert_eq!(sign_module(b"\x1f\x8b\x08", &[1; 32]), Err(ModuleSignatureError::NoModule));
        assert_eq!(module_publisher(b""), Err(ModuleSignatureError::NoModule));
    }
}
