//! Proposes valid blocks that hold calls that clients made long ago: those that ran must not run again.

use super::{Tools, altered::Altered};
use mains_consensus::Block;
use rand::RngExt as _;

/// Calls that are shown again in one block, at most.
const CALLS_MAX: usize = 3;

pub(super) fn alter(tools: &mut Tools, block: &Block) -> Option<Altered> {
    let mut altered = Altered::of(block);
    let calls = tools.loot.calls.lock().expect("no holder panics").clone();
    for _ in 0..CALLS_MAX.min(calls.len()) {
        let call = &calls[tools.rng.random_range(0..calls.len())];
        if !altered.ingress.contains(call) {
            altered.ingress.push(call.clone());
        }
    }
    Some(altered)
}
