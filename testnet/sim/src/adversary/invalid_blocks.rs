//! Proposes blocks that no honest member may accept, and votes for them: a time before the parent's, a call that nobody
//! signed, one that expired, one twice, another randomness, claims about members that there are not.

use super::{Tools, altered::Altered};
use bytes::BytesMut;
use mains_consensus::{Block, Seen};
use rand::RngExt as _;

/// How far a block's time is set back.
const BACK_NANOS: u64 = 60_000_000_000;

pub(super) fn alter(tools: &mut Tools, block: &Block) -> Option<Altered> {
    let mut altered = Altered::of(block);
    match tools.rng.random_range(0..8) {
        // Calls would not be valid yet at such a time, and the block not be wrong for its time alone.
        0 => {
            altered.time = altered.time.saturating_sub(BACK_NANOS);
            altered.ingress.clear();
        }
        // Nobody signed these bytes.
        1 => {
            let mut forged = BytesMut::from(&tools.loot.calls.lock().expect("no holder panics").back()?[..]);
            let at = forged.len() - 1 - tools.rng.random_range(0..8);
            forged[at] ^= 1;
            altered.ingress.push(forged.freeze());
        }
        2 => {
            let call = tools.loot.calls.lock().expect("no holder panics").back()?.clone();
            altered.ingress.extend([call.clone(), call]);
        }
        3 => altered.ingress.push(tools.loot.expired.lock().expect("no holder panics").back()?.clone()),
        4 | 5 => altered.ingress.push(tools.loot.forged.lock().expect("no holder panics").pop_front()?),
        6 => altered.claim(Seen { voted: 1 << (tools.others.len() + 1), certified: 0 }),
        _ => altered.randomness = tools.rng.random(),
    }
    Some(altered)
}
