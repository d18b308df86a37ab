//! Does everything right, and late.

use super::{Letter, Liar, Tools};
use rand::RngExt as _;
use std::time::Duration;

pub(super) struct Slow;

impl Liar for Slow {
    fn send(&mut self, tools: &mut Tools, letter: &Letter) -> Option<Vec<Letter>> {
        let after = Duration::from_millis(tools.rng.random_range(300..3_000));
        Some(vec![Letter { after, ..letter.clone() }])
    }
}
