//! Named cases against one network. After each case, all replicas must live, serve and agree, and canisters that no case
//! has business with must be as they were.

use crate::{Network, manage};
use anyhow::{Context as _, Result, ensure};
use mains_types::{CanisterId, limits};
use std::time::{Duration, Instant};

/// How long a case may take: the longest uses up the 40 G instructions of a message on every replica of this machine.
const PATIENCE: Duration = Duration::from_secs(300);
/// Names a part of the names of the cases to run; all run without it.
const FILTER: &str = "CASE";

/// Runs cases and collects what failed.
pub struct Suite<'n> {
    network: &'n Network,
    kept: Vec<(CanisterId, Snapshot)>,
    filter: String,
    cases_count: usize,
    failures: Vec<String>,
}

/// What a client can see of a canister that changes only if somebody changes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    summary: serde_json::Map<String, serde_json::Value>,
    value: Option<u64>,
}

impl Snapshot {
    /// Looks at a canister, once all replicas know the same of it. The balance is left out, because storage is charged
    /// all the time, and memory is counted in whole pages, because the log of traps is part of it.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn take(network: &Network, canister: CanisterId) -> Result<Self> {
        network.agree().await?;
        let mut summary: serde_json::Map<_, _> = network.json(0, &format!("/api/mains/v1/canister/{canister}")).await?;
        let is_installed = summary.get("module_hash").is_some_and(|hash| !hash.is_null());
        summary.remove("cycles");
        let bytes = summary.remove("memory_bytes").and_then(|bytes| bytes.as_u64()).context("memory_bytes")?;
        summary.insert("memory_pages".into(), (bytes / limits::WASM_PAGE_BYTES).into());
        let value = if is_installed { manage::get(&network.client(0)?, canister).await.ok() } else { None };
        Ok(Self { summary, value })
    }

    /// Sees that the canister is still the same.
    ///
    /// # Errors
    /// It is not: says in what.
    pub async fn is_unchanged(&self, network: &Network, canister: CanisterId) -> Result<()> {
        let now = Self::take(network, canister).await?;
        ensure!(now.value == self.value, "the value of {canister} changed from {:?} to {:?}", self.value, now.value);
        for (field, before) in &self.summary {
            let after = &now.summary[field];
            ensure!(after == before, "{field} of {canister} changed from {before} to {after}");
        }
        Ok(())
    }
}

impl<'n> Suite<'n> {
    /// A suite without cases.
    pub fn new(network: &'n Network) -> Self {
        let filter = std::env::var(FILTER).unwrap_or_default();
        Self { network, kept: Vec::new(), filter, cases_count: 0, failures: Vec::new() }
    }

    /// The network.
    pub fn network(&self) -> &'n Network {
        self.network
    }

    /// From now on every case must leave this canister as it is.
    ///
    /// # Errors
    /// There is no such canister.
    pub async fn keep(&mut self, canister: CanisterId) -> Result<()> {
        self.kept.push((canister, Snapshot::take(self.network, canister).await?));
        Ok(())
    }

    /// Runs a case, then looks at the network.
    pub async fn case(&mut self, name: &str, case: impl Future<Output = Result<()>>) {
        if !name.contains(&self.filter) {
            return;
        }
        let began = Instant::now();
        let ran = match tokio::time::timeout(PATIENCE, case).await {
            Ok(ran) => ran,
            Err(_) => Err(anyhow::anyhow!("did not end within {} s", PATIENCE.as_secs())),
        };
        let ran = match ran {
            Ok(()) => self.is_well().await.context("afterwards"),
            failed => failed,
        };
        self.cases_count += 1;
        let seconds = began.elapsed().as_secs_f64();
        match ran {
            Ok(()) => eprintln!("ok     {seconds:5.2} s  {name}"),
            Err(error) => {
                eprintln!("FAILED {seconds:5.2} s  {name}: {error:#}");
                self.failures.push(format!("{name}: {error:#}"));
            }
        }
    }

    async fn is_well(&self) -> Result<()> {
        self.network.agree().await?;
        for (canister, snapshot) in &self.kept {
            snapshot.is_unchanged(self.network, *canister).await?;
        }
        Ok(())
    }

    /// Ends the suite.
    ///
    /// # Panics
    /// If a case failed, with the names of all that did; or if no case ran.
    pub fn finish(self) {
        assert!(self.cases_count > 0, "no case has {:?} in its name", self.filter);
        let count = self.failures.len();
        assert!(count == 0, "{count} of {} cases failed:\n{}", self.cases_count, self.failures.join("\n"));
        eprintln!("{} cases held", self.cases_count);
    }
}
