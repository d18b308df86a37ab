//! What this replica's clock looks like beside the others'.
//!
//! A block carries its proposer's time. The least delay of a proposer's latest blocks is what its clock differs, plus a
//! little of the network; the median over proposers withstands those that lie. Only told, never acted upon: votes do not
//! depend on clocks.

use mains_types::UnixNanos;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Mutex,
};

/// Blocks of a proposer that count: the least delay among them has little of the network and of load in it.
const BLOCKS: usize = 8;
/// A difference that is worth a word: from here on the others wait for this replica's blocks, or it for theirs.
const WARNING_MS: u64 = 250;
/// A difference at which clients' requests are judged wrongly: the replica then serves nobody.
pub(crate) const SKEW_MS_MAX: u64 = 10_000;
/// Time between two warnings.
const QUIET_NANOS: u64 = 60 * 1_000_000_000;

#[derive(Default)]
pub(crate) struct Clocks {
    heard: Mutex<Heard>,
}

#[derive(Default)]
struct Heard {
    /// By proposer: this clock minus the block's time when it came, nanoseconds, newest last.
    delays: BTreeMap<Vec<u8>, VecDeque<i64>>,
    warned_at: Option<UnixNanos>,
}

impl Clocks {
    /// A block of `proposer` with this time has come `now`.
    pub(crate) fn heard(&self, proposer: &[u8], time: UnixNanos, now: UnixNanos) {
        let mut heard = self.heard.lock().expect("no holder panics");
        let delay = i64::try_from(i128::from(now.get()) - i128::from(time.get())).unwrap_or(i64::MAX);
        let delays = heard.delays.entry(proposer.to_vec()).or_default();
        delays.push_back(delay);
        if delays.len() > BLOCKS {
            delays.pop_front();
        }
        let Some(skew_ms) = heard.skew_ms().filter(|skew| skew.unsigned_abs() > WARNING_MS) else { return };
        if heard.warned_at.is_none_or(|at| now.nanos_since(at) >= QUIET_NANOS) {
            heard.warned_at = Some(now);
            let direction = if skew_ms < 0 { "behind" } else { "ahead of" };
            tracing::warn!("this clock is {} ms {direction} the other nodes': run a time service", skew_ms.abs());
        }
    }

    /// How far this clock is ahead of the others' (negative: behind), milliseconds; `None` before each of two proposers,
    /// or the only one, has sent enough.
    pub(crate) fn skew_ms(&self) -> Option<i64> {
        self.heard.lock().expect("no holder panics").skew_ms()
    }
}

impl Heard {
    fn skew_ms(&self) -> Option<i64> {
        let mut least: Vec<i64> = self
            .delays
            .values()
            .filter(|delays| delays.len() == BLOCKS)
            .filter_map(|delays| delays.iter().min().copied())
            .collect();
        if least.is_empty() || least.len() * 2 < self.delays.len() {
            return None;
        }
        least.sort_unstable();
        Some(least[least.len() / 2] / 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// What is said after blocks from three proposers whose clocks differ from this one's by so many milliseconds.
    fn skew(ahead_ms: [i64; 3]) -> Option<i64> {
        let clocks = Clocks::default();
        for round in 0..BLOCKS as u64 {
            for (proposer, ahead_ms) in ahead_ms.iter().enumerate() {
                let now = UnixNanos((100 + round) * SECOND);
                // Every other block comes late: load, not time.
                let late = if round % 2 == 0 { 3 * SECOND as i64 } else { 0 };
                let time = UnixNanos((now.get() as i64 - ahead_ms * 1_000_000 - late) as u64);
                clocks.heard(&[proposer as u8], time, now);
            }
        }
        clocks.skew_ms()
    }

    #[test]
    fn one_liar_does_not_move_the_clock() {
        assert_eq!(skew([5, 7, 3_600_000]), Some(7));
        assert_eq!(skew([-3_600_000, 7, 5]), Some(5));
        assert_eq!(skew([-900, -800, -850]), Some(-850));
    }

    #[test]
    fn nothing_is_said_before_enough_was_heard() {
        let clocks = Clocks::default();
        assert_eq!(clocks.skew_ms(), None);
        clocks.heard(&[1], UnixNanos(5), UnixNanos(7));
        assert_eq!(clocks.skew_ms(), None);
    }
}
