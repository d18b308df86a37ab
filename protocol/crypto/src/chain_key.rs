//! The subnet's threshold key (BLS12-381, signatures in G1), with which state roots are certified.
//! IC interface specification, "Certificate": keys have 96 bytes, signatures 48, and the ciphersuite is
//! `BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_`. Shares and their combination belong to `mains-consensus`.

use crate::domain;
use mains_types::Digest32;

/// Bytes of a chain key in DER.
pub const CHAIN_KEY_DER_BYTES: usize = DER_PREFIX.len() + 96;

const DER_PREFIX: [u8; 37] = [
    0x30, 0x81, 0x82, 0x30, 0x1d, 0x06, 0x0d, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0xdc, 0x7c, 0x05, 0x03, 0x01, 0x02,
    0x01, 0x06, 0x0c, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0xdc, 0x7c, 0x05, 0x03, 0x02, 0x01, 0x03, 0x61, 0x00,
];

/// The DER form of a chain key, 133 bytes: what clients call the root key.
pub fn chain_key_der(key: &[u8; 96]) -> Vec<u8> {
    [&DER_PREFIX[..], key].concat()
}

/// The chain key of a DER form; `None` if it is not one. Whether it is a point of the curve is not checked.
pub fn chain_key_from_der(der: &[u8]) -> Option<[u8; 96]> {
    der.strip_prefix(&DER_PREFIX)?.try_into().ok()
}

/// What the subnet signs of a state root.
pub fn state_root_message(root: &Digest32) -> Vec<u8> {
    domain::state_root(root)
}

/// Whether `signature` is the subnet's over the state root.
pub fn verify_chain_signature(root: &Digest32, signature: &[u8; 48], key: &[u8; 96]) -> bool {
    ic_verify_bls_signature::verify_bls_signature(signature, &state_root_message(root), key).is_ok()
}
