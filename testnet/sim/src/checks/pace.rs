//! When blocks were proposed, and how many views before them ended without one: for measuring.

use mains_execution::Block;
use mains_types::{Height, UnixNanos};
use std::{collections::BTreeMap, sync::Mutex};

/// Time and lost views of every block.
#[derive(Default)]
pub struct Pace(Mutex<BTreeMap<Height, (UnixNanos, u64)>>);

impl Pace {
    /// A member is about to execute a block.
    pub fn saw(&self, block: &Block) {
        let lost = block.failed.iter().map(|(_, views)| views).sum();
        self.0.lock().expect("no holder panics").insert(block.height, (block.time, lost));
    }

    /// All blocks in order: their times, and views before them that ended without a block.
    pub fn blocks(&self) -> Vec<(UnixNanos, u64)> {
        self.0.lock().expect("no holder panics").values().copied().collect()
    }
}
