//! Proposes blocks that are larger than a block may be: too many calls, one call that is too long, too many bytes of calls that
//! each could be.

use super::{Tools, altered::Altered};
use bytes::Bytes;
use mains_consensus::Block;
use mains_types::limits;
use rand::RngExt as _;

pub(super) fn alter(tools: &mut Tools, block: &Block) -> Option<Altered> {
    let mut altered = Altered::of(block);
    let longest = || Bytes::from(vec![0; limits::INGRESS_BYTES_MAX]);
    match tools.rng.random_range(0..8) {
        0 => altered.ingress.push(Bytes::from(vec![0; limits::INGRESS_BYTES_MAX + 1])),
        1 => altered.ingress.extend([longest(), longest(), Bytes::from_static(b"one more")]),
        _ => altered.ingress.extend((0..=limits::BLOCK_INGRESS_COUNT_MAX).map(|_| Bytes::from_static(b"call"))),
    }
    Some(altered)
}
