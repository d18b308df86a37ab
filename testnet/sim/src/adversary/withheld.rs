//! Shows its blocks to one member only, and keeps the blocks it is asked for.

use super::{Letter, Liar, Tools};
use mains_consensus::channels;

pub(super) struct Withheld;

impl Liar for Withheld {
    fn send(&mut self, _: &mut Tools, letter: &Letter) -> Option<Vec<Letter>> {
        match letter.channel {
            channels::BLOCKS => {
                let mut first = letter.clone();
                first.to.truncate(1);
                Some(vec![first])
            }
            channels::BACKFILL | channels::RESOLVER => Some(Vec::new()),
            _ => None,
        }
    }
}
