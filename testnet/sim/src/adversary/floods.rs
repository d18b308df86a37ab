//! Asks for blocks and certificates that nobody has, and fills every lane with what may be sent on it.

use super::{Letter, Liar, Tools};
use bytes::{BufMut as _, BytesMut};
use mains_consensus::{Partial, channels};
use mains_types::Height;
use rand::RngExt as _;

/// Messages for every vote.
const FLOOD: usize = 16;

pub(super) struct Floods;

impl Liar for Floods {
    fn send(&mut self, tools: &mut Tools, letter: &Letter) -> Option<Vec<Letter>> {
        let mut letters = vec![letter.clone()];
        match letter.channel {
            channels::BACKFILL | channels::RESOLVER => {
                // The same request again, for something else each time.
                for _ in 0..FLOOD {
                    let mut bytes = BytesMut::from(&letter.bytes[..]);
                    let at = bytes.len() - 1 - tools.rng.random_range(0..bytes.len().min(32));
                    bytes[at] = tools.rng.random();
                    letters.push(letter.with(bytes));
                }
            }
            channels::PARTIALS => {
                for _ in 0..FLOOD {
                    let height = Height(tools.rng.random_range(0..1 << 40));
                    let Some(partial) = tools.chain_key.sign(height, tools.rng.random()) else { break };
                    let mut bytes = BytesMut::new();
                    bytes.put_u8(0);
                    Partial { value: partial.value, ..partial }.write(&mut bytes);
                    letters.push(letter.with(bytes));
                }
            }
            channels::INGRESS => {
                let calls = tools.loot.calls.lock().expect("no holder panics").clone();
                for raw in calls.iter().take(FLOOD) {
                    let mut bytes = BytesMut::new();
                    bytes.put_u32(raw.len() as u32);
                    bytes.put_slice(raw);
                    letters.push(letter.with(bytes));
                }
            }
            _ => return None,
        }
        Some(letters)
    }
}
