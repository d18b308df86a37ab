//! How a replica is doing, in words and figures: what its status page, `mains node status` and `/health/ready` say.

use super::ReplicaHandle;
use crate::{clocks::SKEW_MS_MAX, disk::DiskStatus, view::View};
use mains_consensus::EvidenceBook;
use mains_types::limits;
use serde::Serialize;
use std::sync::atomic::Ordering;

/// A peer as the status page shows it.
#[derive(Clone, Debug, Serialize)]
pub struct PeerStatus {
    /// The node.
    pub node_id: String,
    /// Whether there is a connection.
    pub connected: bool,
    /// Its newest known address, empty if none.
    pub address: String,
}

/// Proof that a member voted twice.
#[derive(Clone, Debug, Serialize)]
pub struct EvidenceStatus {
    /// Who.
    pub node_id: String,
    /// In which view.
    pub view: u64,
    /// What: `two_notarizations`, `two_finalizations` or `nullified_and_finalized`.
    pub offence: &'static str,
    /// Both signed votes, in hex: what [`mains_consensus::Evidence::verify`] takes.
    pub proof: String,
}

/// A change of the protocol's version.
#[derive(Clone, Debug, Serialize)]
pub struct SwitchStatus {
    /// To which version.
    pub version: u32,
    /// The first height that is executed by it.
    pub height: u64,
}

/// How a replica is doing.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// The node.
    pub node_id: String,
    /// The network's name.
    pub network: String,
    /// The subnet.
    pub subnet: String,
    /// Newest finalized height.
    pub finalized_height: u64,
    /// Newest executed height.
    pub executed_height: u64,
    /// Newest certified height.
    pub certified_height: u64,
    /// The version of the protocol that the newest certified height was executed by.
    pub protocol_version: u32,
    /// The switch to a newer version that lies ahead.
    pub protocol_switch: Option<SwitchStatus>,
    /// The newest version that this node's binary knows.
    pub protocol_newest: u32,
    /// Root of the newest certified state, in hex.
    pub state_root: String,
    /// Block time of the newest certified state, nanoseconds since 1970.
    pub time_nanos: u64,
    /// Members of the committee.
    pub members_count: usize,
    /// Signatures a certificate takes.
    pub threshold: u32,
    /// Canisters of the subnet.
    pub canisters_count: usize,
    /// Requests that wait to be proposed.
    pub pool_count: usize,
    /// How far this clock is ahead of the other members' (negative: behind), milliseconds; `None` until it is known.
    pub clock_skew_ms: Option<i64>,
    /// The disk.
    pub disk: DiskStatus,
    /// How far it is, if it catches up.
    pub sync: Option<SyncStatus>,
    /// The other members.
    pub peers: Vec<PeerStatus>,
    /// Members that voted twice, as far as this replica saw.
    pub evidence: Vec<EvidenceStatus>,
    /// Whether clients are served.
    pub healthy: bool,
    /// Why not, in a sentence.
    pub reason: Option<String>,
}

/// How far a replica is that catches up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SyncStatus {
    /// What it gets: `state`, `way_on` (the blocks that follow on a state), or `blocks`.
    pub phase: &'static str,
    /// The height that it makes for.
    pub height: u64,
    /// Bytes of the state that came.
    pub bytes: u64,
    /// Objects of the state, or blocks, that are known to be missing.
    pub missing_count: u64,
    /// Bytes of the state that came in a second; 0 for blocks.
    pub bytes_per_second: u64,
    /// Time left, as far as it can be known.
    pub seconds_left: Option<u64>,
    /// The same in a sentence, with what it waits for.
    pub text: String,
}

impl ReplicaHandle {
    /// How this replica is doing.
    pub fn status(&self) -> Status {
        let view = self.view();
        let finalized_height = self.0.finalized.load(Ordering::Relaxed);
        let certified_height = view.as_ref().map_or(0, |view| view.height().get());
        let reason = self.0.disk.refusal().or_else(|| self.unhealthy(view.as_deref()));
        Status {
            node_id: self.0.identity.node_id.to_text(),
            network: self.0.identity.network.clone(),
            subnet: self.0.identity.subnet.to_text(),
            finalized_height: finalized_height.max(certified_height),
            executed_height: self.0.executed.load(Ordering::Relaxed),
            certified_height,
            protocol_version: view.as_ref().map_or(0, |view| view.state.version()),
            protocol_switch: view
                .as_ref()
                .and_then(|view| view.state.protocol.switch())
                .map(|switch| SwitchStatus { version: switch.version, height: switch.height.get() }),
            protocol_newest: self.0.versions.newest,
            state_root: view.as_ref().map(|view| hex::encode(view.root)).unwrap_or_default(),
            time_nanos: view.as_ref().map_or(0, |view| view.time().get()),
            members_count: self.0.identity.members.len(),
            threshold: self.0.identity.threshold,
            canisters_count: view.as_ref().map_or(0, |view| view.state.canisters_count()),
            pool_count: self.0.pool.len(),
            clock_skew_ms: self.0.clocks.skew_ms(),
            disk: self.0.disk.status(),
            sync: self.0.catching_up.lock().expect("no holder panics").clone(),
            peers: self.0.surroundings.get().map(|around| (around.peers)()).unwrap_or_default(),
            evidence: self.evidence(),
            healthy: reason.is_none(),
            reason,
        }
    }

    fn evidence(&self) -> Vec<EvidenceStatus> {
        let all = self.0.evidence.get().map(EvidenceBook::all).unwrap_or_default();
        let status = |evidence: mains_consensus::Evidence| EvidenceStatus {
            node_id: evidence.node.to_text(),
            view: evidence.view,
            offence: evidence.offence.name(),
            proof: hex::encode(&evidence.proof),
        };
        all.into_iter().map(status).collect()
    }

    /// Why it serves no clients, if so.
    pub(super) fn unhealthy(&self, view: Option<&View>) -> Option<String> {
        if let Some(why) = self.halted() {
            return Some(why);
        }
        if let Some(progress) = self.0.compiling.lock().expect("no holder panics").clone() {
            return Some(progress);
        }
        if let Some(progress) = self.0.catching_up.lock().expect("no holder panics").clone() {
            return Some(progress.text);
        }
        if self.0.is_disoriented.load(Ordering::Relaxed) {
            return Some(
                "its data are new or restored: waits for the other members to say how far the network is".into(),
            );
        }
        let Some(view) = view else { return Some("waits for the first certified state".into()) };
        if self.is_outdated(view) {
            let served = self.0.served.load(Ordering::Relaxed);
            return Some(format!(
                "at height {} of the {served} that clients may have seen, catching up",
                view.height()
            ));
        }
        let distance = self.0.finalized.load(Ordering::Relaxed).saturating_sub(view.height().get());
        if distance > limits::CERTIFICATION_DISTANCE_GATEWAY {
            return Some(format!("{distance} heights behind the chain, catching up"));
        }
        if let Some(skew_ms) = self.0.clocks.skew_ms().filter(|skew| skew.unsigned_abs() > SKEW_MS_MAX) {
            return Some(format!("its clock is {skew_ms} ms off the other nodes', so it cannot tell what has expired"));
        }
        None
    }
}
