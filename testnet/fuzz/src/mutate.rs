//! Bytes that differ a little from bytes that mean something.

use crate::Random;

/// Numbers at which code goes wrong.
const EDGES: [u64; 14] = [
    0,
    1,
    2,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    1 << 40,
    i64::MAX as u64,
    u64::MAX,
];
/// Longest piece that is inserted, repeated or taken out.
const PIECE_BYTES_MAX: usize = 64;
/// Longest result: what grows by repeating stops here.
const BYTES_MAX: usize = 1 << 20;

/// One of `entries` with one to eight changes: flipped bits, numbers at edges, pieces inserted, removed, repeated, or taken from
/// another entry.
pub fn mutate(random: &mut Random, entries: &[Vec<u8>]) -> Vec<u8> {
    if entries.is_empty() {
        let count = random.below(256);
        return random.bytes(count);
    }
    let mut bytes = random.pick(entries).clone();
    for _ in 0..=random.below(8) {
        change(random, &mut bytes, entries);
    }
    bytes
}

fn change(random: &mut Random, bytes: &mut Vec<u8>, entries: &[Vec<u8>]) {
    let at = random.below(bytes.len() + 1);
    let piece = |random: &mut Random, bytes: &[u8]| {
        let start = random.below(bytes.len() + 1);
        let end = bytes.len().min(start + 1 + random.below(PIECE_BYTES_MAX));
        start..end
    };
    match random.below(8) {
        0 | 1 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        2 if at < bytes.len() => bytes[at] = random.word() as u8,
        3 => {
            let edge = *random.pick(&EDGES);
            let width = *random.pick(&[1, 2, 4, 8]);
            let number = if random.one_in(2) { edge.to_le_bytes() } else { edge.swap_bytes().to_le_bytes() };
            let number = if random.one_in(2) { &number[..width] } else { &number[8 - width..] };
            let end = bytes.len().min(at + width);
            bytes.splice(at..end, number.iter().copied());
        }
        4 => {
            let range = piece(random, bytes);
            bytes.drain(range);
        }
        5 if bytes.len() < BYTES_MAX => {
            let repeated = bytes[piece(random, bytes)].to_vec();
            for _ in 0..=random.below(4) {
                bytes.splice(at..at, repeated.iter().copied());
            }
        }
        6 if bytes.len() < BYTES_MAX => {
            let other = random.pick(entries);
            let taken = other[piece(random, other)].to_vec();
            bytes.splice(at..at, taken);
        }
        7 if random.one_in(4) => bytes.truncate(at),
        _ => {
            let count = 1 + random.below(8);
            let noise = random.bytes(count);
            bytes.splice(at..at, noise);
        }
    }
}
