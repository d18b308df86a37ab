//! Answers requests for blocks and certificates with others, bent ones or pieces.
//!
//! Chunks of certified states belong here too once members fetch them from each other.

use super::{Letter, Liar, Tools};
use bytes::BytesMut;
use mains_consensus::channels;
use rand::RngExt as _;

pub(super) struct ForgedAnswers;

impl Liar for ForgedAnswers {
    fn send(&mut self, tools: &mut Tools, letter: &Letter) -> Option<Vec<Letter>> {
        if !matches!(letter.channel, channels::BACKFILL | channels::RESOLVER) || letter.bytes.len() < 16 {
            return None;
        }
        let mut bytes = BytesMut::from(&letter.bytes[..]);
        if tools.rng.random_bool(0.5) {
            let at = tools.rng.random_range(0..bytes.len());
            bytes[at] ^= 1 << tools.rng.random_range(0..8);
        } else {
            bytes.truncate(tools.rng.random_range(1..letter.bytes.len()));
        }
        Some(vec![letter.with(bytes)])
    }
}
