//! S1 and S3: at every height all honest members have the same block and the same state, whatever they went through.

use crate::log::Log;
use blake3::Hasher;
use mains_replica::BlockSummary;
use mains_types::{Digest32, Height};
use std::{collections::BTreeMap, sync::Mutex};

/// Blocks and state roots by height. The root is a hash over all canisters, pages, queues, accounts and the history.
#[derive(Default)]
pub struct Agreement {
    by_height: Mutex<BTreeMap<Height, (Digest32, Digest32)>>,
}

impl Agreement {
    /// A member executed a block.
    pub fn saw(&self, member: usize, summary: &BlockSummary, log: &Log) {
        let mut by_height = self.by_height.lock().expect("no holder panics");
        let seen = *by_height.entry(summary.height).or_insert((summary.digest, summary.root));
        drop(by_height);
        if seen != (summary.digest, summary.root) {
            log.broken(|| {
                format!(
                    "S1: member {member} has block {} and root {} at height {} where another has block {} and root {}",
                    hex::encode(summary.digest),
                    hex::encode(summary.root),
                    summary.height,
                    hex::encode(seen.0),
                    hex::encode(seen.1)
                )
            });
        }
    }

    /// The root at a height, if any member executed it.
    pub fn root(&self, height: Height) -> Option<Digest32> {
        self.by_height.lock().expect("no holder panics").get(&height).map(|(_, root)| *root)
    }

    /// All blocks by height.
    pub fn blocks(&self) -> impl Iterator<Item = (Height, Digest32)> {
        let by_height = self.by_height.lock().expect("no holder panics").clone();
        by_height.into_iter().map(|(height, (block, _))| (height, block))
    }

    /// Adds everything seen to a trace.
    pub fn trace(&self, trace: &mut Hasher) {
        for (height, (block, root)) in self.by_height.lock().expect("no holder panics").iter() {
            trace.update(&height.get().to_be_bytes());
            trace.update(block);
            trace.update(root);
        }
    }

    /// The greatest height executed anywhere.
    pub fn newest(&self) -> Height {
        self.by_height.lock().expect("no holder panics").keys().next_back().copied().unwrap_or(Height::ZERO)
    }
}
