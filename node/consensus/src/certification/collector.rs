//! Collects partial signatures until they make a certificate.
//!
//! Verifying a partial costs ten times what recovering a signature does, so partials are believed first: only if the
//! recovered signature fails is each one looked at, and whoever sent a wrong one is blamed.

use super::{ChainKey, Partial};
use crate::Certificate;
use commonware_cryptography::bls12381::primitives::variant::{MinSig, PartialSignature};
use mains_types::{Digest32, Height};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Heights collected at once; partials of heights farther ahead are dropped, their senders repeat them.
pub const HEIGHTS_MAX: usize = 64;

/// What one more partial led to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Added {
    /// The certificate, once per height.
    pub certificate: Option<Certificate>,
    /// Members whose partial signatures made it.
    pub signers: Vec<u32>,
    /// Members whose partial signatures proved to be wrong; nothing more is taken from them for that height.
    pub blamed: Vec<u32>,
}

/// Partials of the heights that are not certified yet.
#[derive(Debug)]
pub struct Collector {
    chain_key: Arc<ChainKey>,
    /// The lowest height collected.
    floor: Height,
    heights: BTreeMap<Height, Collected>,
}

#[derive(Debug, Default)]
struct Collected {
    done: bool,
    /// Members that were blamed.
    refused: BTreeSet<u32>,
    /// By root, then by member. A member counts for one root: its newest.
    roots: BTreeMap<Digest32, BTreeMap<u32, Entry>>,
}

#[derive(Debug)]
struct Entry {
    signature: PartialSignature<MinSig>,
    verified: bool,
}

impl Collector {
    /// A collector that knows nothing.
    pub fn new(chain_key: Arc<ChainKey>) -> Self {
        Self { chain_key, floor: Height::ZERO, heights: BTreeMap::new() }
    }

    /// Takes a partial. The caller has checked that its index is its sender's ([`ChainKey::belongs`]).
    pub fn add(&mut self, partial: Partial) -> Added {
        let (height, root, index) = (partial.height, partial.root, partial.index);
        if height < self.floor || height.get() - self.floor.get() >= HEIGHTS_MAX as u64 {
            return Added::default();
        }
        let collected = self.heights.entry(height).or_default();
        if collected.done || collected.refused.contains(&index) {
            return Added::default();
        }
        let Some(signature) = partial.signature() else {
            collected.refuse(index);
            return Added { blamed: vec![index], ..Added::default() };
        };
        collected.insert(index, root, signature);
        let added = collected.certify(&self.chain_key, height, root);
        if added.certificate.is_some() {
            collected.finish();
        }
        added
    }

    /// Drops everything below `height`, for ever.
    pub fn forget_below(&mut self, height: Height) {
        self.floor = self.floor.max(height);
        self.heights = self.heights.split_off(&self.floor);
    }

    /// Members whose newest partial for `height` is over another root than `root`. More than the faulty members there
    /// can be means that this replica is the one that diverged.
    pub fn dissenters(&self, height: Height, root: &Digest32) -> usize {
        self.heights.get(&height).map_or(0, |collected| {
            collected.roots.iter().filter(|(other, _)| *other != root).map(|(_, members)| members.len()).sum()
        })
    }
}

impl Collected {
    fn insert(&mut self, index: u32, root: Digest32, signature: PartialSignature<MinSig>) {
        for (other, members) in &mut self.roots {
            if *other != root {
                members.remove(&index);
            }
        }
        self.roots.retain(|other, members| *other == root || !members.is_empty());
        let members = self.roots.entry(root).or_default();
        // A repetition of what was verified stays verified.
        if members.get(&index).is_none_or(|known| known.signature != signature) {
            members.insert(index, Entry { signature, verified: false });
        }
    }

    fn refuse(&mut self, index: u32) {
        self.refused.insert(index);
        for members in self.roots.values_mut() {
            members.remove(&index);
        }
    }

    fn finish(&mut self) {
        self.done = true;
        self.roots.clear();
    }

    /// Tries to make a certificate over `root`; blames members until it works or too few are left.
    fn certify(&mut self, chain_key: &ChainKey, height: Height, root: Digest32) -> Added {
        let mut blamed = Vec::new();
        loop {
            let Some(members) = self.roots.get_mut(&root).filter(|members| members.len() >= chain_key.threshold())
            else {
                return Added { blamed, ..Added::default() };
            };
            // Verified ones first: a lasting liar costs one search, not one per partial.
            let mut entries: Vec<_> = members.values().collect();
            entries.sort_by_key(|entry| !entry.verified);
            let quorum: Vec<_> =
                entries.into_iter().take(chain_key.threshold()).map(|entry| &entry.signature).collect();
            if let Some(signature) = chain_key.recover(&root, quorum.iter().copied()) {
                let signers = quorum.iter().map(|signature| signature.index.get()).collect();
                return Added { certificate: Some(Certificate { height, root, signature }), signers, blamed };
            }
            let wrong: Vec<u32> = members
                .iter_mut()
                .filter_map(|(index, entry)| {
                    entry.verified |= chain_key.verify_partial(&root, &entry.signature);
                    (!entry.verified).then_some(*index)
                })
                .collect();
            assert!(!wrong.is_empty(), "valid partial signatures make a valid signature");
            for index in wrong {
                self.refuse(index);
                blamed.push(index);
            }
        }
    }
}
