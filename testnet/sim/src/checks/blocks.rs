//! S2: what is executed was valid: calls that had not expired at the block's time, none twice, within the caps.

use crate::log::Log;
use mains_execution::Block;
use mains_types::limits;
use std::collections::BTreeSet;

/// Looks at a block before it is executed.
pub fn check(block: &Block, log: &Log) {
    let mut seen = BTreeSet::new();
    let mut bytes = 0;
    for call in &block.calls {
        bytes += call.bytes;
        if call.expires_at <= block.time {
            log.broken(|| format!("S2: block {} holds a call that had expired", block.height));
        }
        if call.expires_at.get()
            > block.time.get() + limits::INGRESS_EXPIRY_MAX_NANOS + limits::INGRESS_EXPIRY_DRIFT_NANOS
        {
            log.broken(|| format!("S2: block {} holds a call that expires too late", block.height));
        }
        if !seen.insert(call.request_id) {
            log.broken(|| format!("S2: block {} holds a call twice", block.height));
        }
    }
    if block.calls.len() > limits::BLOCK_INGRESS_COUNT_MAX || bytes > limits::BLOCK_INGRESS_BYTES_MAX as u64 {
        log.broken(|| format!("S2: block {} is larger than a block may be", block.height));
    }
    let distance = block.height.get().saturating_sub(block.certified.get());
    if distance > limits::CERTIFICATION_DISTANCE_MAX && !block.calls.is_empty() {
        log.broken(|| format!("S2: block {} holds calls {distance} heights above what is certified", block.height));
    }
}
