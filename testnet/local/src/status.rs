//! How the replicas of a test network are doing.

use crate::ReplicaFile;
use mains_client::{Client, identity, report::NodeReport};
use serde::Serialize;
use std::time::Duration;

/// How long a replica may take to report before it counts as slow. Reporting costs it next to nothing, so this is long.
const REPORT: Duration = Duration::from_secs(5);

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
    /// Whether it lives and takes connections but does not answer in time: the machine is busy.
    pub is_slow: bool,
}

impl ReplicaStatus {
    /// Asks a replica whose process, if it lives, is `pid`.
    pub(crate) async fn ask(index: usize, replica: &ReplicaFile, pid: Option<u32>) -> Self {
        let mut status = Self {
            index,
            node_id: replica.node_id.clone(),
            pid,
            api: replica.api.clone(),
            report: None,
            is_slow: false,
        };
        if pid.is_some()
            && let Ok(client) = Client::trusting(&replica.api, identity::anonymous(), &[])
        {
            match tokio::time::timeout(REPORT, client.report()).await {
                // Another network may have taken the port of one that was killed.
                Ok(report) => status.report = report.ok().filter(|report| report.node_id == replica.node_id),
                Err(_) => status.is_slow = true,
            }
        }
        status
    }

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
