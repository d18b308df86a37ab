//! How fast a subnet goes and how long it waits. Replicated: every member has the same values, from genesis.

use crate::{Block, ConsensusError};
use commonware_consensus::BoundedBlock as _;
use std::time::Duration;

/// Uplink a member must have, in bytes a second (100 Mbit/s): the certification timeout covers the greatest block sent
/// to everybody over it.
pub const UPLINK_BYTES_PER_SECOND_MIN: u64 = 100_000_000 / 8;
/// A block's time may be this far ahead of a replica's clock; otherwise the replica waits before it votes.
pub const CLOCK_DRIFT_MAX: Duration = Duration::from_millis(250);
/// Time between two repetitions of a vote to abandon a view that nothing else ends.
pub const RETRY: Duration = Duration::from_secs(1);
/// The longest leader timeout: beyond it a subnet with a dead member is useless.
pub const LEADER_TIMEOUT_MAX: Duration = Duration::from_secs(60);
/// A leader that was silent for this much longer than everything else takes is passed over at once. Members vote in
/// every view, so even an idle subnet hears of each of them once a heartbeat.
const SKIP_MARGIN: Duration = Duration::from_millis(200);

/// The pace of a subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// How long a leader waits for work before it proposes an empty block.
    pub heartbeat: Duration,
    /// How long replicas wait for a proposal. A dead leader costs this much, and only until
    /// it was silent for [`Self::skip_timeout`].
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

    /// How long replicas wait for a view to be certified: the leader's time, and then enough for the greatest block to
    /// reach everybody over the least uplink.
    pub fn certification_timeout(&self, members: u32) -> Duration {
        let bytes = Block::max_encode_size(&()) as u64 * u64::from(members.saturating_sub(1));
        let spreading = Duration::from_millis(bytes * 1_000 / UPLINK_BYTES_PER_SECOND_MIN);
        self.leader_timeout + spreading.max(self.leader_timeout / 2)
    }

    /// After how long a silent leader is passed over without waiting for it.
    pub fn skip_timeout(&self, members: u32) -> Duration {
        self.certification_timeout(members).max(RETRY) + SKIP_MARGIN
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
    fn a_leader_that_may_wait_as_long_as_it_is_waited_for_is_refused() {
        for (heartbeat, leader_timeout) in [(0, 0), (0, 1_000), (600, 600), (600, 899), (1_000, 60_001)] {
            assert!(pace(heartbeat, leader_timeout).check().is_err(), "{heartbeat} / {leader_timeout}");
        }
    }
}
