//! What one node says about itself and its subnet: JSON, not certified.

use serde::{Deserialize, Serialize};

/// A node's own report.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeReport {
    /// Version of its software.
    pub version: String,
    /// The network's name.
    pub network: String,
    /// The subnet's id.
    pub subnet: String,
    /// The node's id.
    pub node_id: String,
    /// Root key, DER in hex.
    pub root_key: String,
    /// The committee.
    pub members: Vec<String>,
    /// Signatures that a certificate takes.
    pub threshold: u32,
    /// Newest finalized height.
    pub finalized_height: u64,
    /// Newest certified height.
    pub certified_height: u64,
    /// The version of the protocol that the newest certified height was executed by.
    #[serde(default)]
    pub protocol_version: u32,
    /// The switch to a newer version that lies ahead.
    #[serde(default)]
    pub protocol_switch: Option<SwitchReport>,
    /// The newest version that this node's software knows.
    #[serde(default)]
    pub protocol_newest: u32,
    /// Newest certified state root, hex.
    pub state_root: String,
    /// Block time of the newest certified state, nanoseconds since 1970.
    #[serde(default)]
    pub time_nanos: u64,
    /// How far this node's clock is ahead of the others' (negative: behind), milliseconds; `None` until it knows.
    #[serde(default)]
    pub clock_skew_ms: Option<i64>,
    /// Its disk.
    #[serde(default)]
    pub disk: DiskReport,
    /// The other members.
    pub peers: Vec<PeerReport>,
    /// Whether it serves clients.
    pub healthy: bool,
    /// Why not.
    pub reason: Option<String>,
}

/// A change of the protocol's version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchReport {
    /// To which version.
    pub version: u32,
    /// The first height that is executed by it.
    pub height: u64,
}

impl NodeReport {
    /// The protocol's version and what lies ahead, in a line.
    pub fn protocol(&self) -> String {
        let ahead = match &self.protocol_switch {
            Some(SwitchReport { version, height }) if *version > self.protocol_newest => format!(
                ", version {version} from height {height} on: this node's software does not know it and stops there, install a newer release"
            ),
            Some(SwitchReport { version, height }) => format!(", version {version} from height {height} on"),
            None => String::new(),
        };
        format!("version {}{ahead}; this node's software knows up to {}", self.protocol_version, self.protocol_newest)
    }
}

/// A node's disk.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DiskReport {
    /// Bytes that are free, if it knows.
    pub free_bytes: Option<u64>,
    /// Bytes below which it takes no calls.
    pub reserve_bytes: u64,
    /// Writes that wait until the disk takes them.
    pub waiting_count: usize,
    /// Writes and syncs that failed since it started.
    pub failures_count: u64,
    /// What is wrong, and what to do.
    pub reason: Option<String>,
}

/// A peer as a node sees it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PeerReport {
    /// The node's id.
    pub node_id: String,
    /// Whether there is a connection.
    pub connected: bool,
    /// Its newest known address.
    pub address: String,
}

/// One certified height.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HeightReport {
    /// The height.
    pub height: u64,
    /// Block time, nanoseconds since 1970.
    pub time_nanos: u64,
    /// The state root, hex.
    pub state_root: String,
}

/// A canister in a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CanisterReport {
    /// Its id.
    pub id: String,
    /// `running`, `stopping` or `stopped`.
    pub status: String,
    /// SHA-256 of its module, hex.
    pub module_hash: Option<String>,
    /// Who may manage it.
    pub controllers: Vec<String>,
    /// Its balance, a decimal number.
    pub cycles: String,
    /// Bytes of heap, stable memory and module.
    pub memory_bytes: u64,
}
