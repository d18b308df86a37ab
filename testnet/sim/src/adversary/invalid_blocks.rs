//! Proposes blocks that no honest member may accept, and votes for them: a time before the parent's, a call that nobody
//! signed, one that expired, one twice, a certificate that is none, claims about members that there are not.

use super::{Letter, Liar, Tools, votes};
use bytes::{BufMut as _, Bytes, BytesMut};
use commonware_codec::{DecodeExt as _, Encode as _, Read as _, Write as _, varint::UInt};
use commonware_consensus::types::Height;
use mains_consensus::{Block, Certificate, Control, Digest, Seen, block::Context, channels};
use rand::RngExt as _;
use std::collections::BTreeMap;

pub(super) struct InvalidBlocks {
    alter: fn(&mut Tools, &Block) -> Option<Altered>,
    replaced: BTreeMap<Digest, Digest>,
}

impl Default for InvalidBlocks {
    fn default() -> Self {
        Self { alter, replaced: BTreeMap::new() }
    }
}

impl InvalidBlocks {
    /// Blocks that are valid but say that their proposer saw itself and nobody else.
    pub(super) fn with_false_claims() -> Self {
        let alter = |tools: &mut Tools, block: &Block| {
            let mut altered = Altered::of(block);
            let own = 1 << tools.place;
            altered.control = altered.control.with_seen(Seen { voted: own, certified: own });
            Some(altered)
        };
        Self { alter, replaced: BTreeMap::new() }
    }
}

impl Liar for InvalidBlocks {
    fn send(&mut self, tools: &mut Tools, letter: &Letter) -> Option<Vec<Letter>> {
        if letter.channel == channels::BLOCKS {
            let block = Block::decode(letter.bytes.clone()).ok()?;
            // Where nothing can be bent, the block goes out as it is, with its vote.
            let bad = (self.alter)(tools, &block).and_then(|altered| altered.block()).unwrap_or_else(|| block.clone());
            self.replaced.insert(block.digest(), bad.digest());
            let shown = letter.with(bad.encode());
            let vote = votes::for_block(tools, &bad, &shown);
            return Some(vec![shown, vote]);
        }
        let vote = letter.vote()?;
        if votes::is_own_proposal(tools, &vote) {
            return Some(Vec::new());
        }
        let bad = *self.replaced.get(&votes::payload(&vote)?)?;
        Some(vec![letter.with(votes::elsewhere(&tools.scheme, &vote, bad)?)])
    }
}

fn alter(tools: &mut Tools, block: &Block) -> Option<Altered> {
    let mut altered = Altered::of(block);
    let calls = tools.calls.lock().expect("no holder panics").clone();
    match tools.rng.random_range(0..8) {
        0 => altered.time = 1,
        // Nobody signed these bytes.
        1 => {
            let mut forged = BytesMut::from(&calls.back()?[..]);
            let at = forged.len() - 1 - tools.rng.random_range(0..8);
            forged[at] ^= 1;
            altered.ingress.push(forged.freeze());
        }
        2 => altered.ingress.extend([calls.back()?.clone(), calls.back()?.clone()]),
        // Expired, or executed long ago: the first is invalid, the second must not run again.
        3 => altered.ingress.push(calls[tools.rng.random_range(0..calls.len())].clone()),
        6 => altered.ingress.push(tools.forged.lock().expect("no holder panics").pop_front()?),
        4 => {
            let height = block.height().get().checked_sub(1)?;
            let certificate =
                Certificate { height: mains_types::Height(height), root: tools.rng.random(), signature: [0x80; 48] };
            altered.certified = height;
            altered.control = Control::new(Some(certificate));
        }
        7 => {
            let beyond = 1 << (tools.others.len() + 1);
            altered.control = altered.control.with_seen(Seen { voted: beyond, certified: 0 });
        }
        _ => altered.randomness = tools.rng.random(),
    }
    Some(altered)
}

/// A block's parts, to be put together in another way.
pub(super) struct Altered {
    context: Context,
    parent: Digest,
    height: Height,
    time: u64,
    certified: u64,
    randomness: [u8; 32],
    control: Control,
    ingress: Vec<Bytes>,
}

impl Altered {
    fn of(block: &Block) -> Self {
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

    /// The block, unless its parts do not even decode.
    pub(super) fn block(&self) -> Option<Block> {
        let mut bytes = BytesMut::new();
        self.context.write(&mut bytes);
        self.parent.write(&mut bytes);
        self.height.write(&mut bytes);
        UInt(self.time).write(&mut bytes);
        UInt(self.certified).write(&mut bytes);
        bytes.put_slice(&self.randomness);
        self.control.write(&mut bytes);
        self.ingress.write(&mut bytes);
        let mut bytes = bytes.freeze();
        let block = Block::read_cfg(&mut bytes, &()).ok()?;
        bytes.is_empty().then_some(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mains_types::UnixNanos;

    #[test]
    fn parts_make_the_same_block_again_and_another_time_makes_another() {
        let block = Block::genesis([7; 32], UnixNanos(5));
        assert_eq!(Altered::of(&block).block(), Some(block.clone()));
        let later = Altered::later(&block).block().expect("decodes");
        assert_eq!(later.time(), UnixNanos(6));
        assert_ne!(later.digest(), block.digest());
    }
}
