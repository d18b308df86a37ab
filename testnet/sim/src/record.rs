//! What a member's replica tells the simulator.

use crate::checks::Findings;
use mains_replica::{BlockSummary, Observer};
use mains_state::State;
use std::sync::Arc;

/// Reports one member's blocks.
pub struct Watcher {
    /// Which member.
    pub member: usize,
    /// Where to.
    pub findings: Arc<Findings>,
}

impl Observer for Watcher {
    fn executed(&self, summary: BlockSummary) {
        self.findings.executed(self.member, &summary);
    }
    fn executing(&self, block: &mains_execution::Block) {
        self.findings.executing(self.member, block);
    }
    fn sealed(&self, state: &State) {
        self.findings.sealed(self.member, state);
    }
}
