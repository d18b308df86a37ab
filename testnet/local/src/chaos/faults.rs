//! What is done to replicas: killed, stopped where they are, all killed at once, cut off. At most one is away at a time,
//! unless all are killed or the network falls into halves, where nothing can be agreed on.

use super::{ChaosReport, Draw};
use crate::{LocalError, Testnet};
use std::{collections::BTreeSet, time::Duration};

/// How long a replica is away, at most.
const AWAY_MS_MAX: u64 = 4_000;
/// How long replicas are cut off, at most: longer than what a connection notices, so that some are made anew.
const CUT_OFF_MS_MAX: u64 = 10_000;
/// How long the network is left alone between two faults, at most.
const QUIET_MS_MAX: u64 = 2_500;

pub(super) struct Faults(Draw);

impl Faults {
    pub(super) fn new(seed: u64) -> Self {
        Self(Draw::new(seed ^ 0xfa17))
    }

    /// Draws a fault, brings it about and waits until all replicas serve again.
    pub(super) async fn next(
        &mut self,
        testnet: &mut Testnet,
        report: &mut ChaosReport,
        tell: &impl Fn(&str),
    ) -> Result<(), LocalError> {
        self.wait(QUIET_MS_MAX).await;
        let replica = self.0.below(testnet.replicas().len() as u64) as usize;
        match self.0.below(10) {
            0..2 if testnet.has_links() => {
                let halves = self.0.below(2) == 0;
                let count = if halves { testnet.replicas().len() / 2 } else { 1 };
                let island = (0..count).map(|next| (replica + next) % testnet.replicas().len()).collect();
                tell(&format!("cuts off {island:?}"));
                testnet.cut_off(&island)?;
                report.partitions += 1;
                self.wait(CUT_OFF_MS_MAX).await;
                testnet.cut_off(&BTreeSet::new())?;
            }
            0..6 => {
                tell(&format!("kills replica {replica}"));
                testnet.kill(replica).await?;
                report.kills += 1;
                self.wait(AWAY_MS_MAX).await;
                testnet.start(replica)?;
            }
            6..8 => {
                tell(&format!("pauses replica {replica}"));
                testnet.pause(replica, true)?;
                report.pauses += 1;
                self.wait(AWAY_MS_MAX).await;
                testnet.pause(replica, false)?;
            }
            _ => {
                tell("kills all replicas at once");
                testnet.kill_all().await?;
                report.blackouts += 1;
                testnet.start_all()?;
            }
        }
        testnet.ready().await.map(drop)
    }

    async fn wait(&mut self, most_ms: u64) {
        tokio::time::sleep(Duration::from_millis(100 + self.0.below(most_ms))).await;
    }
}
