//! How the replicas of a test network are doing.

use mains_client::report::NodeReport;
use serde::Serialize;

/// One replica: what the files say, what its process does, and what it reports.
#[derive(Clone, Debug, Serialize)]
pub struct ReplicaStatus {
    /// Its number.
    pub index: usize,
    /// The node's id.
    pub node_id: String,
    /// Its process, if it lives.
    pub pid: Option<u32>,
    /// URL of its API.
    pub api: String,
    /// Its own report, if it answers.
    pub report: Option<NodeReport>,
}

impl ReplicaStatus {
    /// Whether it serves clients.
    pub fn is_healthy(&self) -> bool {
        self.report.as_ref().is_some_and(|report| report.healthy)
    }

    /// Newest certified height; 0 if it does not answer.
    pub fn certified_height(&self) -> u64 {
        self.report.as_ref().map_or(0, |report| report.certified_height)
    }

    /// Members that it has a connection to.
    pub fn connected_count(&self) -> usize {
        self.report.as_ref().map_or(0, |report| report.peers.iter().filter(|peer| peer.connected).count())
    }
}
