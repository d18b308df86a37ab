//! Sends what is no message: random bytes, torn ones, lengths that promise more than there is, and very large ones.

use super::{Letter, Liar, Tools};
use rand::{Rng as _, RngExt as _};

/// Bytes of the greatest piece of garbage.
const GREATEST: usize = 1 << 20;

pub(super) struct Garbage;

impl Liar for Garbage {
    fn send(&mut self, tools: &mut Tools, letter: &Letter) -> Option<Vec<Letter>> {
        let bytes = match tools.rng.random_range(0..40) {
            0 => {
                let mut bytes = vec![0; tools.rng.random_range(0..200)];
                tools.rng.fill_bytes(&mut bytes);
                bytes
            }
            1 => letter.bytes[..tools.rng.random_range(0..=letter.bytes.len())].to_vec(),
            2 => vec![0xff; 24],
            3 => vec![tools.rng.random(); tools.rng.random_range(0..GREATEST)],
            _ => return None,
        };
        Some(vec![letter.with(bytes)])
    }
}
