//! Sends again what it sent before: votes and certificates of old views, old blocks, old partial signatures.

use super::{Letter, Liar, Tools};
use rand::RngExt as _;
use std::collections::VecDeque;

/// Letters it remembers.
const REMEMBERED: usize = 256;

#[derive(Default)]
pub(super) struct Replays {
    sent: VecDeque<Letter>,
}

impl Liar for Replays {
    fn send(&mut self, tools: &mut Tools, letter: &Letter) -> Option<Vec<Letter>> {
        self.sent.push_back(letter.clone());
        if self.sent.len() > REMEMBERED {
            self.sent.pop_front();
        }
        let old = self.sent[tools.rng.random_range(0..self.sent.len())].clone();
        Some(vec![letter.clone(), Letter { to: tools.others.clone(), ..old }])
    }
}
