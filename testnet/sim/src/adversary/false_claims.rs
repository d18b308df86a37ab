//! Proposes valid blocks that say that their proposer saw itself and nobody else.

use super::{Tools, altered::Altered};
use mains_consensus::{Block, Seen};

pub(super) fn alter(tools: &mut Tools, block: &Block) -> Option<Altered> {
    let mut altered = Altered::of(block);
    let own = 1 << tools.place;
    altered.claim(Seen { voted: own, certified: own });
    Some(altered)
}
