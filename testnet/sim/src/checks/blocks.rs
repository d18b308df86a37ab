//! S2: what is executed was valid: each block later than the one before, calls that clients signed and that had not expired at the
//! block's time, none twice, within the caps; certificates that the subnet signed. S10: no honest member proposes a call over and
//! over.

use crate::log::Log;
use mains_consensus::Certificate;
use mains_execution::Block;
use mains_state::Genesis;
use mains_types::{Digest32, Height, NodeId, RequestId, UnixNanos, limits};
use mains_wire::Envelope;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

/// Finalized blocks that one honest member may put a call into: a second one if it hears of the call again at a bad moment.
const PROPOSED_MAX: usize = 4;

/// What is known about blocks that may be executed.
pub struct Blocks {
    chain_key: Vec<u8>,
    /// Members that keep to the rules.
    honest: BTreeSet<NodeId>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    times: BTreeMap<Height, UnixNanos>,
    signed: BTreeSet<RequestId>,
    /// Certificates in blocks of members that lie.
    certificates: BTreeMap<Digest32, Certificate>,
    proposed: BTreeMap<(NodeId, RequestId), BTreeSet<Height>>,
}

impl Blocks {
    /// Nothing yet.
    pub fn new(genesis: &Genesis, is_honest: impl Fn(usize) -> bool) -> Self {
        let members = genesis.nodes.iter().enumerate().filter(|(member, _)| is_honest(*member));
        let honest = members.map(|(_, node)| mains_crypto::node_id(&node.public_key)).collect();
        let known = Known { times: [(Height::ZERO, genesis.time)].into(), ..Known::default() };
        Self { chain_key: genesis.chain_key.clone(), honest, known: Mutex::new(known) }
    }

    /// A client signed this.
    pub fn signed(&self, envelope: Envelope) {
        self.known.lock().expect("no holder panics").signed.insert(envelope.request_id);
    }

    /// A member that lies shows a block.
    pub fn shown(&self, block: &mains_consensus::Block) {
        if let Some(certificate) = block.control().certificate() {
            self.known.lock().expect("no holder panics").certificates.insert(block.digest_bytes(), *certificate);
        }
    }

    /// Looks at a block before it is executed.
    pub fn check(&self, block: &Block, log: &Log) {
        let mut known = self.known.lock().expect("no holder panics");
        known.times.insert(block.height, block.time);
        let before = block.height.get().checked_sub(1).and_then(|height| known.times.get(&Height(height)));
        if before.is_some_and(|before| *before >= block.time) {
            log.broken(|| format!("S2: the time of block {} is not after the one before", block.height));
        }
        if let Some(certificate) = known.certificates.remove(&block.digest) {
            self.certified(block, &certificate, log);
        }
        let mut seen = BTreeSet::new();
        let mut bytes = 0;
        for call in &block.calls {
            bytes += call.bytes;
            if !known.signed.contains(&call.request_id) {
                log.broken(|| format!("S2: block {} holds a call that no client signed", block.height));
            }
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
            if self.honest.contains(&block.proposer) {
                let heights = known.proposed.entry((block.proposer, call.request_id)).or_default();
                heights.insert(block.height);
                if heights.len() > PROPOSED_MAX {
                    log.broken(|| {
                        format!(
                            "S10: a member proposes a call again and again, the last time in block {}",
                            block.height
                        )
                    });
                }
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

    /// Checks a certificate in a block with a library that shares no code with the replica.
    fn certified(&self, block: &Block, certificate: &Certificate, log: &Log) {
        let message = [&b"\x0dic-state-root"[..], &certificate.root].concat();
        if ic_verify_bls_signature::verify_bls_signature(&certificate.signature, &message, &self.chain_key).is_err() {
            log.broken(|| format!("S2: block {} holds a certificate that the subnet did not sign", block.height));
        }
    }
}
