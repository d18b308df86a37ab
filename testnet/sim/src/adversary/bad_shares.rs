//! Signs other states than the subnet's, breaks its signatures, uses others' places, forges certificates.

use super::{Letter, Liar, Tools};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use mains_consensus::{Certificate, Partial, channels};
use mains_types::Height;
use rand::RngExt as _;

pub(super) struct BadShares;

impl Liar for BadShares {
    fn send(&mut self, tools: &mut Tools, letter: &Letter) -> Option<Vec<Letter>> {
        if letter.channel != channels::PARTIALS {
            return None;
        }
        let mut bytes = letter.bytes.clone();
        if bytes.is_empty() || bytes.get_u8() != 0 {
            return None;
        }
        let partial = Partial::read(&mut bytes)?;
        Some(match tools.rng.random_range(0..6) {
            0 => {
                let mut broken = partial;
                broken.value[tools.rng.random_range(1..48)] ^= 1;
                vec![letter.with(message(&broken))]
            }
            // Also of heights that nobody has executed yet.
            1 => {
                let height = Height(partial.height.get() + tools.rng.random_range(0..3));
                vec![letter.with(message(&tools.chain_key.sign(height, tools.rng.random())?))]
            }
            2 => {
                // A signature over the right root that does not belong to this place.
                let other = tools.chain_key.sign(partial.height, tools.rng.random())?;
                vec![letter.with(message(&Partial { value: other.value, ..partial }))]
            }
            3 => {
                let index = (partial.index + 1) % (tools.others.len() as u32 + 1);
                vec![letter.with(message(&Partial { index, ..partial }))]
            }
            4 => {
                let certificate =
                    Certificate { height: partial.height.next(), root: tools.rng.random(), signature: partial.value };
                let mut bytes = BytesMut::new();
                bytes.put_u8(1);
                certificate.write(&mut bytes);
                vec![letter.clone(), letter.with(bytes)]
            }
            _ => {
                let far = Height(partial.height.get() + 1 + tools.rng.random_range(0..1_000));
                vec![letter.clone(), letter.with(message(&Partial { height: far, ..partial }))]
            }
        })
    }
}

fn message(partial: &Partial) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u8(0);
    partial.write(&mut bytes);
    bytes.freeze()
}
