//! A test network under load whose replicas are killed, paused and cut off, and what its clients saw of it, checked at the end.
//!
//! Clients append to a list and move money between accounts of a bank (two small canisters). What they were told is a
//! history; it must fit one order of all operations that also respects real time ([`history`]). Faults are drawn from a
//! seed; what the machine makes of them is not replayed: that is what `testnet/sim` is for.

mod canisters;
mod faults;
mod history;
mod load;

use crate::{LocalError, Options, Testnet};
use canisters::Kind;
use faults::Faults;
use history::Violation;
use load::Load;
use mains_client::ClientError;
use serde::Serialize;
use std::time::{Duration, Instant};

/// How long the network may take to serve again after the last fault.
const HEALING: Duration = Duration::from_secs(60);

/// What is done to a test network.
#[derive(Clone, Debug)]
pub struct ChaosOptions {
    /// The network: a directory of its own, emptied before and after by the caller.
    pub testnet: Options,
    /// How long faults and load go on.
    pub duration: Duration,
    /// Where faults and operations are drawn from.
    pub seed: u64,
}

/// What was done and seen.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ChaosReport {
    /// Where faults and operations were drawn from.
    pub seed: u64,
    /// Replicas killed while the others went on.
    pub kills: u64,
    /// Times all replicas were killed at once.
    pub blackouts: u64,
    /// Replicas stopped where they were for some seconds and then let on.
    pub pauses: u64,
    /// Times that some replicas were cut off from the others and from clients.
    pub partitions: u64,
    /// Operations that were answered, and those of which nobody heard.
    pub answered: u64,
    /// Operations that were sent and not answered: they may have happened or not.
    pub unanswered: u64,
    /// Entries in the canisters' logs at the end.
    pub logged: u64,
    /// The longest time without any answer, milliseconds.
    pub longest_silence_ms: u64,
    /// The certified height at the end, and its root, which all replicas have.
    pub height: u64,
    /// Hex.
    pub state_root: String,
}

impl ChaosReport {
    /// SIGKILLs of single processes.
    pub fn processes_killed(&self, replicas: u64) -> u64 {
        self.kills + self.blackouts * replicas
    }
}

/// Why the run failed.
#[derive(Debug, thiserror::Error)]
pub enum ChaosError {
    /// The network could not be made or did not come back.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// A canister could not be made or read.
    #[error("{what}: {source}")]
    Client {
        /// What was tried.
        what: &'static str,
        /// Why not.
        source: ClientError,
    },
    /// Replicas disagree.
    #[error("at height {height} replica {replica} has the root {root}, another has {other}")]
    Divergence {
        /// Where.
        height: u64,
        /// Who.
        replica: usize,
        /// Its root.
        root: String,
        /// The other root.
        other: String,
    },
    /// What clients were told does not fit any order of their operations.
    #[error("the history of the {canister} does not hold: {violation}")]
    History {
        /// Which canister.
        canister: &'static str,
        /// What does not fit.
        violation: Violation,
    },
}

/// Runs a test network under load and faults for a while, lets it heal, and checks what its clients saw.
///
/// # Errors
/// [`ChaosError`]; the replicas then still run, and their files are there.
pub async fn chaos(options: &ChaosOptions, tell: impl Fn(&str)) -> Result<ChaosReport, ChaosError> {
    let mut testnet = Testnet::create(&options.testnet)?;
    testnet.end_with_this_process();
    testnet.start_all()?;
    testnet.ready().await?;
    let load = Load::start(&testnet, options.seed).await?;
    let mut report = ChaosReport { seed: options.seed, ..ChaosReport::default() };
    let mut faults = Faults::new(options.seed);
    let began = Instant::now();
    while began.elapsed() < options.duration {
        faults.next(&mut testnet, &mut report, &tell).await?;
    }
    testnet.start_all()?;
    testnet.ready().await?;
    let ended = load.stop().await;
    (report.answered, report.unanswered, report.longest_silence_ms) = ended.counts();
    for kind in [Kind::List, Kind::Bank] {
        let log = ended.log(kind).await?;
        report.logged += log.len() as u64;
        ended
            .history(kind)
            .check(kind, &log)
            .map_err(|violation| ChaosError::History { canister: kind.name(), violation })?;
    }
    (report.height, report.state_root) = agreed(&mut testnet).await?;
    testnet.stop_all().await?;
    Ok(report)
}

/// A height that all replicas certified with one root.
async fn agreed(testnet: &mut Testnet) -> Result<(u64, String), ChaosError> {
    let replicas = testnet.wait("agreeing on a height", HEALING, |replicas| {
        let newest = replicas.iter().map(crate::ReplicaStatus::certified_height).max().unwrap_or(0);
        newest > 0 && replicas.iter().all(|replica| replica.is_healthy() && replica.certified_height() + 2 >= newest)
    });
    let mut known = std::collections::BTreeMap::new();
    for (replica, status) in replicas.await?.into_iter().enumerate() {
        let Some(report) = status.report else { continue };
        let (height, root) = (report.certified_height, report.state_root);
        let other = known.entry(height).or_insert_with(|| root.clone());
        if *other != root {
            return Err(ChaosError::Divergence { height, replica, root, other: other.clone() });
        }
    }
    let (height, root) = known.pop_last().unwrap_or_default();
    Ok((height, root))
}

/// Numbers from a seed.
#[derive(Clone, Debug)]
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound` (splitmix64).
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound.max(1)
    }
}
