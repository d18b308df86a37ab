//! Answers requests for blocks, certificates and pieces of certified states with others, bent ones or pieces.

use super::{Letter, Liar, Tools};
use bytes::{Bytes, BytesMut};
use mains_consensus::channels;
use rand::RngExt as _;

/// First bytes of messages of the synchronization channel.
const OFFER: u8 = 1;
const OBJECTS: u8 = 3;
const LACKS: u8 = 4;
/// Bytes of a length before an object.
const LENGTH: usize = 4;

pub(super) struct ForgedAnswers;

impl Liar for ForgedAnswers {
    fn send(&mut self, tools: &mut Tools, letter: &Letter) -> Option<Vec<Letter>> {
        match letter.channel {
            channels::SYNC => match letter.bytes.first() {
                Some(&OBJECTS) => Some(vec![letter.with(other_objects(tools, &letter.bytes))]),
                // Mostly true: who offers another state than the others is not asked for its pieces.
                Some(&OFFER) if letter.bytes.len() > 64 && tools.rng.random_bool(0.25) => {
                    Some(vec![letter.with(bent(tools, &letter.bytes))])
                }
                // "Here it is", with nothing of use.
                Some(&LACKS) => Some(vec![letter.with(vec![OBJECTS, 0, 0, 0, 1, 0])]),
                _ => None,
            },
            channels::BACKFILL | channels::RESOLVER if letter.bytes.len() >= 16 => {
                Some(vec![letter.with(bent(tools, &letter.bytes))])
            }
            _ => None,
        }
    }
}

/// The same with a bit flipped, or without its end.
fn bent(tools: &mut Tools, bytes: &[u8]) -> Bytes {
    let mut bent = BytesMut::from(bytes);
    if tools.rng.random_bool(0.5) {
        let at = tools.rng.random_range(0..bent.len());
        bent[at] ^= 1 << tools.rng.random_range(0..8);
    } else {
        bent.truncate(tools.rng.random_range(1..bytes.len()));
    }
    bent.freeze()
}

/// As many objects of the same lengths as were asked for, one of them with another content.
fn other_objects(tools: &mut Tools, bytes: &[u8]) -> Bytes {
    let mut objects = BytesMut::from(bytes);
    let mut contents = Vec::new();
    let mut at = 1;
    while let Some(length) = objects.get(at..at + LENGTH) {
        let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize;
        if length > 0 {
            contents.push(at + LENGTH..at + LENGTH + length);
        }
        at += LENGTH + length;
    }
    if !contents.is_empty() {
        let content = contents[tools.rng.random_range(0..contents.len())].clone();
        let at = tools.rng.random_range(content);
        objects[at] ^= 1 << tools.rng.random_range(0..8);
    }
    objects.freeze()
}
