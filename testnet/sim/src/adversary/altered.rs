//! Blocks as a liar would have them: the parts of its own, put together in another way, with its vote.

use super::{Letter, Liar, Tools, votes};
use bytes::{BufMut as _, Bytes, BytesMut};
use commonware_codec::{DecodeExt as _, Write as _, varint::UInt};
use commonware_consensus::types::Height;
use commonware_cryptography::{Hasher as _, Sha256};
use mains_consensus::{Block, Certificate, Control, Digest, Seen, block::Context, channels};
use std::collections::BTreeMap;

/// What is wrong with a block; `None` if nothing can be made wrong with this one.
pub(super) type Alter = fn(&mut Tools, &Block) -> Option<Altered>;

/// Shows altered blocks instead of its own, and votes for them.
pub(super) struct AlteredBlocks {
    alter: Alter,
    replaced: BTreeMap<Digest, Digest>,
}

impl AlteredBlocks {
    pub(super) fn new(alter: Alter) -> Self {
        Self { alter, replaced: BTreeMap::new() }
    }
}

impl Liar for AlteredBlocks {
    fn send(&mut self, tools: &mut Tools, letter: &Letter) -> Option<Vec<Letter>> {
        if letter.channel == channels::BLOCKS {
            let block = Block::decode(letter.bytes.clone()).ok()?;
            // Where nothing can be bent, the block goes out as it is, with its vote.
            let altered = (self.alter)(tools, &block).unwrap_or_else(|| Altered::of(&block));
            let bytes = altered.encode();
            let digest = Sha256::hash(&[&bytes]);
            self.replaced.insert(block.digest(), digest);
            let shown = letter.with(bytes);
            let vote = votes::for_block(tools, block.context(), digest, &shown);
            return Some(vec![shown, vote]);
        }
        let vote = letter.vote()?;
        if votes::is_own_proposal(tools, &vote) {
            return Some(Vec::new());
        }
        let other = *self.replaced.get(&votes::payload(&vote)?)?;
        Some(vec![letter.with(votes::elsewhere(&tools.scheme, &vote, other)?)])
    }
}

/// A block's parts, to be put together in another way.
pub(super) struct Altered {
    context: Context,
    parent: Digest,
    height: Height,
    pub(super) time: u64,
    pub(super) certified: u64,
    pub(super) randomness: [u8; 32],
    pub(super) control: Control,
    pub(super) ingress: Vec<Bytes>,
}

impl Altered {
    pub(super) fn of(block: &Block) -> Self {
        Self {
            context: block.context().clone(),
            parent: block.parent(),
            height: Height::new(block.height().get()),
            time: block.time().get(),
            certified: block.certified().get(),
            randomness: block.randomness(),
            control: block.control().clone(),
            ingress: block.ingress().to_vec(),
        }
    }

    /// The same, a nanosecond later: as valid as the first.
    pub(super) fn later(block: &Block) -> Self {
        let mut altered = Self::of(block);
        altered.time += 1;
        altered
    }

    /// Claims that its proposer saw these of the members.
    pub(super) fn claim(&mut self, seen: Seen) {
        self.control = self.control.clone().with_seen(seen);
    }

    /// Holds this certificate, and what follows from it. The block must hold none: its randomness is its parent's.
    pub(super) fn certify(&mut self, certificate: Certificate) {
        self.certified = certificate.height.get();
        self.randomness = Sha256::hash(&[b"mains/randomness/1", &self.randomness, &certificate.signature]).0;
        self.control =
            Control::new(Some(certificate)).with_seen(self.control.seen()).knowing(self.control.newest_version());
    }

    /// As it travels; perhaps too large to be a block.
    pub(super) fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        self.context.write(&mut bytes);
        self.parent.write(&mut bytes);
        self.height.write(&mut bytes);
        UInt(self.time).write(&mut bytes);
        UInt(self.certified).write(&mut bytes);
        bytes.put_slice(&self.randomness);
        self.control.write(&mut bytes);
        self.ingress.write(&mut bytes);
        bytes.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mains_types::UnixNanos;

    #[test]
    fn parts_make_the_same_block_again_and_another_time_makes_another() {
        let block = Block::genesis([7; 32], UnixNanos(5));
        let again = Altered::of(&block).encode();
        assert_eq!(Sha256::hash(&[&again]), block.digest());
        assert_eq!(Block::decode(again).expect("decodes"), block);
        let later = Block::decode(Altered::later(&block).encode()).expect("decodes");
        assert_eq!(later.time(), UnixNanos(6));
        assert_ne!(later.digest(), block.digest());
    }

    #[test]
    fn a_certificate_brings_the_randomness_that_it_stands_for() {
        let parent = Block::genesis([7; 32], UnixNanos(5));
        let certificate = Certificate { height: mains_types::Height(0), root: [1; 32], signature: [2; 48] };
        let child = |certificate| {
            let control = Control::new(certificate);
            Block::child(parent.context().clone(), &parent, UnixNanos(9), control, Vec::new())
        };
        let mut altered = Altered::of(&child(None));
        altered.certify(certificate);
        assert_eq!(Block::decode(altered.encode()).expect("decodes"), child(Some(certificate)));
    }
}
