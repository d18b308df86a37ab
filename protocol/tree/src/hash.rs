//! The hashes of the four kinds of nodes: SHA-256 with the domain separators of the IC interface specification.

use mains_types::Digest32;
use sha2::{Digest, Sha256};

/// The hash of a tree with nothing in it.
pub(crate) fn empty() -> Digest32 {
    Sha256::digest(b"\x11ic-hashtree-empty").into()
}

/// The hash of a value.
pub(crate) fn leaf(bytes: &[u8]) -> Digest32 {
    Sha256::new().chain_update(b"\x10ic-hashtree-leaf").chain_update(bytes).finalize().into()
}

/// The hash of a label over what stands at it.
pub(crate) fn labelled(label: &[u8], content: &Digest32) -> Digest32 {
    Sha256::new().chain_update(b"\x13ic-hashtree-labeled").chain_update(label).chain_update(content).finalize().into()
}

/// The hash of two neighbouring parts.
pub(crate) fn fork(left: &Digest32, right: &Digest32) -> Digest32 {
    Sha256::new().chain_update(b"\x10ic-hashtree-fork").chain_update(left).chain_update(right).finalize().into()
}
