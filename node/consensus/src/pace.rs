//! How fast a subnet goes and how long it waits. Replicated: every member has the same values, from genesis.

use crate::ConsensusError;
use mains_types::limits;
use std::time::Duration;

/// Uplink a member must have, in bytes a second (100 Mbit/s): the certification timeout covers the greatest call sent to
/// everybody over it, and leaders propose no more than it carries in time.
pub const UPLINK_BYTES_PER_SECOND_MIN: u64 = 100_000_000 / 8;
/// A block's time may be this far ahead of a replica's clock; otherwise the replica waits before it votes.
pub const CLOCK_DRIFT_MAX: Duration = Duration::from_millis(250);
/// Time between two repetitions of a vote to abandon a view that nothing else ends.
pub const RETRY: Duration = Duration::from_secs(1);
/// The longest leader timeout: beyond it a subnet with a dead member is useless.
pub const LEADER_TIMEOUT_MAX: Duration = Duration::from_secs(60);
/// What each of the waits below is longer than the one before. A leader that missed one turn was silent for a leader timeout
/// and some views when its next turn comes: the less this is, the surer it is passed over then.
const MARGIN: Duration = Duration::from_millis(20);
/// What is left for checking a block and voting on it after it has reached everybody.
const VOTING: Duration = Duration::from_millis(200);

/// The pace of a subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// How long a leader waits for work before it proposes an empty block.
    pub heartbeat: Duration,
    /// How long replicas wait for a proposal. A dead leader costs this much once: at its next turn it was silent for
    /// [`Self::skip_timeout`].
    pub leader_timeout: Duration,
}

impl Parameters {
    /// Whether these times can work together.
    ///
    /// # Errors
    /// Unless `0 < heartbeat` and `1.5 x heartbeat <= leader timeout <= 1 minute`: a leader that waited for work still
    /// needs time to build a block and to reach the others.
    pub fn check(&self) -> Result<(), ConsensusError> {
        let Self { heartbeat, leader_timeout } = *self;
        let least = heartbeat * 3 / 2;
        if heartbeat.is_zero() {
            return Err(ConsensusError::Pace { reason: "the heartbeat is zero".into() });
        }
        if leader_timeout < least || leader_timeout > LEADER_TIMEOUT_MAX {
            let reason =
                format!("a leader timeout of {leader_timeout:?} is not between {least:?} and {LEADER_TIMEOUT_MAX:?}");
            return Err(ConsensusError::Pace { reason });
        }
        Ok(())
    }

    /// How long replicas wait for a view to be certified: hardly longer than for its leader, and long enough for the greatest
    /// call to reach everybody over the least uplink. A leader puts no more into a block than is in time, see
    /// [`Self::block_bytes`].
    pub fn certification_timeout(&self, members: u32) -> Duration {
        let bytes = limits::INGRESS_BYTES_MAX as u64 * u64::from(members.saturating_sub(1));
        let spreading = Duration::from_millis(bytes * 1_000 / UPLINK_BYTES_PER_SECOND_MIN);
        (self.leader_timeout + MARGIN).max(spreading + VOTING)
    }

    /// After how long a silent leader is passed over without waiting for it. Members vote in every view, so even an idle
    /// subnet hears of each of them once a heartbeat.
    pub fn skip_timeout(&self, members: u32) -> Duration {
        self.certification_timeout(members).max(RETRY) + MARGIN
    }

    /// A vote that comes this much after its view was over comes too late for anybody: who needs this long for a vote would, as a
    /// leader, keep everybody waiting for several times as long.
    pub fn late_after(&self) -> Duration {
        self.leader_timeout / 24
    }

    /// Bytes of calls that reach everybody over the least uplink in the rest of a view of which `passed` is over. One call
    /// may always be proposed: a leader that proposes at once is in time with the greatest.
    pub fn block_bytes(&self, members: u32, passed: Duration) -> usize {
        let left = self.certification_timeout(members).saturating_sub(passed + VOTING);
        let bytes = left.as_millis() as u64 * (UPLINK_BYTES_PER_SECOND_MIN / 1_000);
        (bytes / u64::from(members.max(2) - 1)).min(limits::BLOCK_INGRESS_BYTES_MAX as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(heartbeat_ms: u64, leader_timeout_ms: u64) -> Parameters {
        Parameters {
            heartbeat: Duration::from_millis(heartbeat_ms),
            leader_timeout: Duration::from_millis(leader_timeout_ms),
        }
    }

    #[test]
    fn every_wait_is_longer_than_the_one_it_covers() {
        for members in [1, 4, 13, 40] {
            let pace = pace(600, 1_200);
            pace.check().expect("valid");
            assert!(pace.leader_timeout < pace.certification_timeout(members));
            assert!(pace.skip_timeout(members) > pace.certification_timeout(members).max(RETRY));
        }
    }

    #[test]
    fn a_leader_that_missed_one_turn_is_passed_over_at_the_next() {
        let pace = pace(600, 1_200);
        for members in [4, 7] {
            // Silent since its last vote, through the view that it missed, and the views of the others.
            let others = Duration::from_millis(10) * (members - 1);
            assert!(pace.leader_timeout + 2 * others > pace.skip_timeout(members), "{members} members");
        }
    }

    #[test]
    fn a_leader_proposes_what_reaches_everybody_in_time() {
        let pace = pace(600, 1_200);
        assert_eq!(pace.block_bytes(4, Duration::ZERO), limits::BLOCK_INGRESS_BYTES_MAX, "a full block at once");
        assert!(pace.block_bytes(4, pace.heartbeat) < limits::INGRESS_BYTES_MAX);
        assert_eq!(pace.block_bytes(4, Duration::from_secs(9)), 0);
        for members in [1, 7, 13, 40] {
            assert!(pace.block_bytes(members, Duration::ZERO) >= limits::INGRESS_BYTES_MAX * 99 / 100, "{members}");
        }
    }

    #[test]
    fn a_leader_that_may_wait_as_long_as_it_is_waited_for_is_refused() {
        for (heartbeat, leader_timeout) in [(0, 0), (0, 1_000), (600, 600), (600, 899), (1_000, 60_001)] {
            assert!(pace(heartbeat, leader_timeout).check().is_err(), "{heartbeat} / {leader_timeout}");
        }
    }
}
