//! Certificates as a subnet would sign them, for tests of what is read out of them.

use crate::bill::root_key;
use ic_verify_bls_signature::PrivateKey;
use mains_ledger::{Moment, readings::leb128};
use mains_tree::Tree;
use mains_types::{Height, UnixNanos};

pub(crate) fn key(seed: u8) -> PrivateKey {
    PrivateKey::deserialize(&[seed; 32]).expect("a scalar")
}

pub(crate) fn der(key: &PrivateKey) -> Vec<u8> {
    root_key(&key.public_key().serialize()).unwrap()
}

/// A height whose time follows from it.
pub(crate) fn at(height: u64) -> Moment {
    Moment { height: Height(height), time: UnixNanos(height * 1_000) }
}

/// A certificate, in hex, that shows these leaves below `/mains`, the height and the time.
pub(crate) fn certificate<'a>(
    at: Moment,
    leaves: impl IntoIterator<Item = (&'a [&'a [u8]], Vec<u8>)>,
    key: &PrivateKey,
) -> String {
    let mut tree = Tree::new();
    let number = |number: u64| {
        let mut bytes = Vec::new();
        leb128(&mut bytes, u128::from(number));
        bytes
    };
    tree.insert(&[b"time"], number(at.time.get()));
    tree.insert(&[&b"mains"[..], b"height"], number(at.height.get()));
    for (path, leaf) in leaves {
        let path: Vec<&[u8]> = std::iter::once(&b"mains"[..]).chain(path.iter().copied()).collect();
        tree.insert(&path, leaf);
    }
    let message = [b"\x0dic-state-root", &tree.digest()[..]].concat();
    let signature = key.sign(&message).serialize();
    let all: [[&[u8]; 1]; 2] = [[b"time"], [b"mains"]];
    hex::encode(mains_wire::certificate(&tree.witness(&all), &signature))
}
