//! What a simulation saw: roots per height and replica, replies that clients hold proof of.

use blake3::Hasher;
use mains_replica::{BlockSummary, Observer};
use mains_types::{Digest32, Height, RequestId};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

/// Roots by height, and who computed them.
#[derive(Default)]
pub struct Roots {
    by_height: Mutex<BTreeMap<Height, (Digest32, Digest32)>>,
    forks: Mutex<Vec<String>>,
}

impl Roots {
    fn saw(&self, replica: usize, summary: &BlockSummary) {
        let mut by_height = self.by_height.lock().expect("no holder panics");
        let seen = *by_height.entry(summary.height).or_insert((summary.digest, summary.root));
        if seen != (summary.digest, summary.root) {
            self.forks.lock().expect("no holder panics").push(format!(
                "replica {replica} has block {} and root {} at height {} where another has block {} and root {}",
                hex::encode(summary.digest),
                hex::encode(summary.root),
                summary.height,
                hex::encode(seen.0),
                hex::encode(seen.1)
            ));
        }
    }

    /// Heights at which replicas disagreed, in words.
    pub fn forks(&self) -> Vec<String> {
        self.forks.lock().expect("no holder panics").clone()
    }

    /// The root at a height, if any replica executed it.
    pub fn root(&self, height: Height) -> Option<Digest32> {
        self.by_height.lock().expect("no holder panics").get(&height).map(|(_, root)| *root)
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

/// Reports one replica's blocks.
pub struct Watcher {
    /// Which replica.
    pub replica: usize,
    /// Where to.
    pub roots: Arc<Roots>,
}

impl Observer for Watcher {
    fn executed(&self, summary: BlockSummary) {
        self.roots.saw(self.replica, &summary);
    }
}

/// Replies for which a client holds a certificate.
pub type Certified = BTreeMap<RequestId, Vec<u8>>;
