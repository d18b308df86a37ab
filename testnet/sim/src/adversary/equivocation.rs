//! Proposes two blocks in its turn, one to each half of the others, and votes for each before those who saw it.

use super::{Letter, Liar, Tools, altered::Altered, votes};
use commonware_codec::DecodeExt as _;
use commonware_cryptography::{Hasher as _, Sha256};
use mains_consensus::{Block, Digest, channels};
use std::collections::BTreeMap;

#[derive(Default)]
pub(super) struct Equivocation {
    twins: BTreeMap<Digest, Digest>,
}

impl Liar for Equivocation {
    fn send(&mut self, tools: &mut Tools, letter: &Letter) -> Option<Vec<Letter>> {
        if letter.channel == channels::BLOCKS {
            let block = Block::decode(letter.bytes.clone()).ok()?;
            let twin = Altered::later(&block).encode();
            let (digest, other) = (block.digest(), Sha256::hash(&[&twin]));
            self.twins.insert(digest, other);
            let [first, second] = letter.halves();
            let second = second.with(twin);
            let vote = |digest, sent| votes::for_block(tools, block.context(), digest, sent);
            let votes = [vote(digest, &first), vote(other, &second)];
            return Some([first, second].into_iter().chain(votes).collect());
        }
        let vote = letter.vote()?;
        // Left with the blocks: the engine votes before it shows them.
        if votes::is_own_proposal(tools, &vote) {
            return Some(Vec::new());
        }
        let twin = *self.twins.get(&votes::payload(&vote)?)?;
        let [first, second] = letter.halves();
        let other = votes::elsewhere(&tools.scheme, &vote, twin)?;
        Some(vec![first, second.with(other)])
    }
}
