//! What the subnet and its nodes did: counted from blocks, so that every replica counts alike.
//!
//! Source: interface specification, "IC method node_metrics_history" and `/subnet/<id>/metrics`.

use crate::message::Hashed;
use imbl::Vector;
use mains_types::{Digest32, NodeId, UnixNanos};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

/// Days that are kept, as many as the interface specification lets a call return.
const DAYS_MAX: usize = 60;
const DAY_NANOS: u64 = 24 * 60 * 60 * UnixNanos::SECOND;

/// Blocks of one node since it joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeBlocks {
    /// Blocks it proposed that are in the chain.
    pub proposed: u64,
    /// Views that it led and that ended without a block in the chain.
    pub failed: u64,
}

/// The counts of all nodes at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Block time.
    pub timestamp: UnixNanos,
    /// By node.
    pub nodes: BTreeMap<NodeId, NodeBlocks>,
}

/// All counts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Metrics {
    /// Messages executed: updates, responses, tasks, calls to built-in canisters.
    pub messages: u64,
    /// Instructions that these used.
    pub instructions: u64,
    nodes: BTreeMap<NodeId, NodeBlocks>,
    /// When `nodes` was counted last.
    counted_at: UnixNanos,
    /// The last counts of past days, oldest first.
    days: Vector<Arc<Hashed<Sample>>>,
}

impl Metrics {
    /// Counts a block at `time`: its proposer, and for nodes that led views since the block before it how many.
    pub fn count_block(&mut self, time: UnixNanos, proposer: NodeId, failed: &[(NodeId, u64)]) {
        if self.counted_at.get() / DAY_NANOS < time.get() / DAY_NANOS && !self.nodes.is_empty() {
            self.days.push_back(Arc::new(Hashed::new(self.sample())));
            // The present day is one more.
            while self.days.len() >= DAYS_MAX {
                self.days.pop_front();
            }
        }
        self.counted_at = time;
        self.nodes.entry(proposer).or_default().proposed += 1;
        for (node, views) in failed {
            let count = &mut self.nodes.entry(*node).or_default().failed;
            *count = count.saturating_add(*views);
        }
    }

    /// One sample for each day from `start` on, oldest first: the last of a past day, the newest of the present one. Each has
    /// only the nodes whose counts are not those of the day before.
    pub fn history(&self, start: UnixNanos) -> Vec<Sample> {
        let mut before = BTreeMap::new();
        let present = (!self.nodes.is_empty()).then(|| self.sample());
        let days = self.days.iter().map(|day| Sample::clone(day)).chain(present);
        let mut history = Vec::new();
        for Sample { timestamp, nodes } in days {
            let changed = nodes.iter().filter(|(node, blocks)| before.get(*node) != Some(*blocks));
            let changed: BTreeMap<_, _> = changed.map(|(node, blocks)| (*node, *blocks)).collect();
            before = nodes;
            if timestamp >= start {
                history.push(Sample { timestamp, nodes: changed });
            }
        }
        history
    }

    /// What the root covers: costs one hash of the present counts, however many days there are.
    pub(crate) fn digest(&self) -> Digest32 {
        let Self { messages, instructions, nodes, counted_at, days } = self;
        let days: Vec<Digest32> = days.iter().map(|day| day.digest()).collect();
        crate::state::digest_of(&(messages, instructions, nodes, counted_at, days))
    }

    fn sample(&self) -> Sample {
        Sample { timestamp: self.counted_at, nodes: self.nodes.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mains_types::Principal;

    fn node(key: u8) -> NodeId {
        Principal::self_authenticating([key; 32])
    }

    fn day(number: u64) -> UnixNanos {
        UnixNanos(number * DAY_NANOS + 5)
    }

    #[test]
    fn a_day_is_one_sample_of_the_nodes_that_changed() {
        let mut metrics = Metrics::default();
        metrics.count_block(day(10), node(1), &[(node(2), 3)]);
        metrics.count_block(UnixNanos(day(10).get() + 7), node(1), &[]);
        metrics.count_block(day(11), node(1), &[]);
        let history = metrics.history(UnixNanos(0));
        assert_eq!(history.len(), 2);
        assert_eq!(history[0].timestamp.get(), day(10).get() + 7);
        assert_eq!(history[0].nodes[&node(1)], NodeBlocks { proposed: 2, failed: 0 });
        assert_eq!(history[0].nodes[&node(2)], NodeBlocks { proposed: 0, failed: 3 });
        assert_eq!(history[1].nodes.len(), 1, "the other one did nothing");
        assert_eq!(history[1].nodes[&node(1)].proposed, 3);
        assert_eq!(metrics.history(day(11)).len(), 1);
    }

    #[test]
    fn sixty_days_are_kept() {
        let mut metrics = Metrics::default();
        (0..100).for_each(|number| metrics.count_block(day(number), node(1), &[]));
        let history = metrics.history(UnixNanos(0));
        assert_eq!((history.len(), history[0].timestamp), (60, day(40)));
        let bytes = postcard::to_stdvec(&metrics).unwrap();
        let again: Metrics = postcard::from_bytes(&bytes).unwrap();
        assert_eq!((again.digest(), again.history(UnixNanos(0))), (metrics.digest(), history));
    }
}
