//! The newest certified heights, for plots and block lists. A convenience of this gateway: nothing depends on it.

use mains_replica::ReplicaHandle;
use mains_types::Height;
use serde::Serialize;
use std::{collections::VecDeque, sync::Mutex};

/// Heights kept: two minutes at two blocks per second.
const HEIGHTS_MAX: usize = 240;

/// One certified height.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CertifiedHeight {
    /// The height.
    pub(crate) height: u64,
    /// Its block's time, nanoseconds since 1970.
    pub(crate) time_nanos: u64,
    /// The state root that was signed, hex.
    pub(crate) state_root: String,
    /// The subnet's threshold signature over it, hex.
    pub(crate) signature: String,
}

/// The newest certified heights that this gateway saw; bursts may skip some.
#[derive(Default)]
pub(crate) struct History(Mutex<VecDeque<CertifiedHeight>>);

impl History {
    /// Collects for as long as it is polled.
    pub(crate) async fn follow(&self, replica: ReplicaHandle) {
        let mut seen = Height::ZERO;
        loop {
            let view = replica.view_above(seen).await;
            seen = view.height();
            self.push(CertifiedHeight {
                height: seen.get(),
                time_nanos: view.time().get(),
                state_root: hex::encode(view.root),
                signature: hex::encode(view.signature),
            });
        }
    }

    /// At most `count`, newest first.
    pub(crate) fn newest(&self, count: usize) -> Vec<CertifiedHeight> {
        self.0.lock().expect("no holder panics").iter().rev().take(count).cloned().collect()
    }

    fn push(&self, height: CertifiedHeight) {
        let mut heights = self.0.lock().expect("no holder panics");
        if heights.len() == HEIGHTS_MAX {
            heights.pop_front();
        }
        heights.push_back(height);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_heights_are_kept() {
        let history = History::default();
        for height in 0..HEIGHTS_MAX as u64 + 10 {
            history.push(CertifiedHeight {
                height,
                time_nanos: 0,
                state_root: String::new(),
                signature: String::new(),
            });
        }
        let newest: Vec<u64> = history.newest(usize::MAX).iter().map(|entry| entry.height).collect();
        assert_eq!(newest.len(), HEIGHTS_MAX);
        assert_eq!(newest[0], HEIGHTS_MAX as u64 + 9);
    }
}
