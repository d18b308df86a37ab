//! The steps of the demo and what each must show to hold.

use super::{NODES, stage::Stage};
use crate::{shipped, terminal};
use anyhow::{Context as _, Result, bail, ensure};
use candid::{Decode, Encode, Nat};
use mains_client::{
    Certificate, CertificateError, Client, Outcome,
    identity::{self, Identity},
    management::Install,
};
use mains_ledger::{Resource, Statement, Tariff, statement};
use mains_local::Testnet;
use mains_types::{CanisterId, Cycles};
use std::{
    collections::BTreeSet,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

/// Replicas that the increments go through.
const WRITERS: usize = 3;
/// Increments before and after a replica is lost.
const INCREMENTS: usize = 100;
const INCREMENTS_AFTER: usize = 20;
/// The replica that is killed; not among the writers.
const VICTIM: usize = 3;
/// Cycles that the counter starts with.
const ENDOWMENT: Cycles = Cycles(3_000_000_000_000);
/// Cycles that a signer without any gets from the test network.
const POCKET_MONEY: Cycles = Cycles(10_000_000_000_000);
/// How long a restarted replica may take to catch up.
const CATCH_UP: Duration = Duration::from_secs(60);
/// Certified heights that are compared between replicas.
const HEIGHTS: usize = 240;

/// The demo under way.
pub(super) struct Demo<'a> {
    testnet: &'a mut Testnet,
    /// One per replica.
    clients: Vec<Client>,
    threshold: u32,
    canister: Option<CanisterId>,
    last: Option<Outcome>,
}

impl<'a> Demo<'a> {
    /// Starts the replicas and waits for them to form a subnet.
    pub(super) async fn start(testnet: &'a mut Testnet, signer: Arc<dyn Identity>, stage: &mut Stage) -> Result<Self> {
        stage
            .step("four replicas start as four processes", async {
                testnet.start_all()?;
                let pids: Vec<String> = (0..NODES).filter_map(|index| Some(testnet.pid(index)?.to_string())).collect();
                ensure!(pids.len() == NODES, "only {} of {NODES} processes live", pids.len());
                Ok(((), format!("pids {}", pids.join(" "))))
            })
            .await?;
        let (clients, threshold) = stage
            .step("they find each other and form one subnet", async {
                let replicas = testnet.ready().await?;
                let report = replicas[0].report.as_ref().context("the first replica does not answer")?;
                let mut clients = Vec::new();
                for replica in &replicas {
                    clients.push(Client::connect(&replica.api, signer.clone()).await?);
                }
                let same_key = clients.iter().all(|client| client.root_key() == clients[0].root_key());
                ensure!(same_key, "the replicas do not agree on the root key");
                let evidence = format!(
                    "{} of {} sign, height {}, subnet {}…",
                    report.threshold,
                    report.members.len(),
                    report.certified_height,
                    &report.subnet[..5.min(report.subnet.len())]
                );
                Ok(((clients, report.threshold), evidence))
            })
            .await?;
        Ok(Self { testnet, clients, threshold, canister: None, last: None })
    }

    /// Where the replicas keep their files.
    pub(super) fn testnet_dir(&self) -> &Path {
        self.testnet.dir()
    }

    /// The network's root key.
    pub(super) fn root_key(&self) -> &[u8] {
        self.clients[0].root_key()
    }

    /// The counter.
    pub(super) fn canister(&self) -> CanisterId {
        self.canister.expect("the demo deploys before anything else")
    }

    /// Creates the counter through the cycles ledger and installs its code.
    pub(super) async fn deploy(&mut self, stage: &mut Stage) -> Result<()> {
        let client = self.clients[0].clone();
        let canister = stage
            .step("a canister is created through the cycles ledger", async {
                let principal = client.principal()?;
                if client.balance(principal).await? < ENDOWMENT {
                    let faucet = Client::trusting(client.url(), identity::anonymous(), client.root_key())?;
                    faucet.transfer(principal, POCKET_MONEY).await?;
                }
                let (canister, _) = client.create_canister(ENDOWMENT).await?;
                Ok((canister, format!("{canister}, {} cycles", terminal::group(ENDOWMENT))))
            })
            .await?;
        stage
            .step("the counter is installed", async {
                let outcome = client.install(canister, Install::Fresh, shipped::COUNTER, Encode!()?).await?;
                let certified = self.certified(&outcome);
                let height = outcome.height.get();
                outcome.reply()?;
                // A replica admits calls by its own newest certified state, and certifies a moment after the first one.
                self.testnet
                    .wait("the same height", CATCH_UP, |replicas| {
                        replicas.iter().all(|replica| replica.certified_height() >= height)
                    })
                    .await?;
                Ok(((), format!("{} bytes of Wasm, {certified}", terminal::group(shipped::COUNTER.len()))))
            })
            .await?;
        self.canister = Some(canister);
        Ok(())
    }

    /// Increments through several replicas, a query, and the proof of the last reply.
    pub(super) async fn use_it(&mut self, stage: &mut Stage) -> Result<()> {
        let last = stage
            .step("100 increments through three different replicas", async {
                let (last, evidence) = self.increment(INCREMENTS, 0).await?;
                Ok((last, evidence))
            })
            .await?;
        stage
            .step("a query at the fourth replica sees them all", async {
                let began = Instant::now();
                // The fourth replica certifies the same height a moment later than the first.
                self.reach(VICTIM, last.height.get()).await?;
                let asked = Instant::now();
                self.expect_value(VICTIM, INCREMENTS).await?;
                let evidence = format!("value {INCREMENTS}, answered in {}", terminal::duration(asked.elapsed()));
                Ok(((), format!("{evidence}{}", lag(asked - began))))
            })
            .await?;
        stage
            .step("the last reply's certificate holds, an altered one not", async {
                let certificate = Certificate::verify(&last.certificate, self.root_key())?;
                let mut altered = last.certificate.clone();
                let reply = last.result.as_ref().ok().context("the last increment was rejected")?;
                let place = position(&altered, reply).context("the certificate does not hold the reply")?;
                altered[place + reply.len() - 1] ^= 1;
                let refused = Certificate::verify(&altered, self.root_key());
                ensure!(
                    matches!(refused, Err(CertificateError::WrongSignature)),
                    "an altered certificate was accepted"
                );
                last.proof(self.root_key(), "demo").verify(Some(self.root_key()))?;
                let root = hex::encode(certificate.root());
                Ok(((), format!("root {}…, {}", &root[..12], self.certified(&last))))
            })
            .await?;
        self.last = Some(last);
        Ok(())
    }

    /// A call that traps: nothing changes, the work is charged.
    pub(super) async fn trap(&mut self, stage: &mut Stage) -> Result<()> {
        stage
            .step("a call that traps changes nothing and is charged", async {
                let before = self.statement().await?;
                let outcome = self.clients[0].call(self.canister(), "trap_after_write", Encode!()?).await?;
                let Err(rejection) = &outcome.result else { bail!("the call replied instead of trapping") };
                self.expect_value(0, INCREMENTS).await?;
                let after = self.statement().await?;
                let executed = |bill: &Statement| bill.lines[Resource::Instructions.index()].present;
                ensure!(executed(&after) > executed(&before), "its instructions were not metered");
                ensure!(after.charged > before.charged, "it was not charged");
                let cost = outcome.cost.map_or_else(String::new, |cost| format!("{} cycles, ", terminal::group(cost)));
                let code = rejection.error_code.clone().unwrap_or_else(|| format!("reject {}", rejection.code));
                Ok(((), format!("{cost}{code}, value still {INCREMENTS}")))
            })
            .await
    }

    /// Kills a replica, goes on without it, starts it again and waits until it agrees.
    pub(super) async fn lose_a_replica(&mut self, stage: &mut Stage) -> Result<()> {
        let testnet = &mut *self.testnet;
        stage
            .step("kill -9 of one replica", async {
                let pid = testnet.pid(VICTIM).context("it has no process")?;
                testnet.kill(VICTIM).await?;
                Ok(((), format!("replica {VICTIM}, pid {pid}")))
            })
            .await?;
        let last = stage
            .step("20 more increments succeed without it", async { self.increment(INCREMENTS_AFTER, INCREMENTS).await })
            .await?;
        stage
            .step("it restarts, catches up, and has the same state root", async {
                self.testnet.start(VICTIM)?;
                let height = last.height.get();
                self.testnet
                    .wait("catching up", CATCH_UP, |replicas| {
                        replicas[VICTIM].is_healthy() && replicas[VICTIM].certified_height() >= height
                    })
                    .await?;
                let (height, root) = self.common_root().await?;
                self.expect_value(VICTIM, INCREMENTS + INCREMENTS_AFTER).await?;
                Ok(((), format!("height {height}, root {}…", &root[..12])))
            })
            .await
    }

    /// The bill, recomputed from the published tariff.
    pub(super) async fn bill(&mut self, stage: &mut Stage) -> Result<()> {
        let bill = stage
            .step("the bill adds up: quantity x price, opening to closing", async {
                let bill = self.statement().await?;
                ensure!(bill.balances(), "opening + received - sent - charged is not the closing balance");
                statement::verify(&bill, &Tariff::for_nodes(NODES as u32))?;
                let evidence = format!("{} cycles charged", terminal::group(bill.charged));
                Ok((bill, evidence))
            })
            .await?;
        stage.show(&statement::render_text(&bill));
        Ok(())
    }

    /// Increments the counter, taking turns among the writers, and sees that every value came out exactly once.
    async fn increment(&self, count: usize, from: usize) -> Result<(Outcome, String)> {
        let began = Instant::now();
        let writers = self.clients.iter().take(WRITERS).enumerate().map(|(writer, client)| {
            let mine = (writer..count).step_by(WRITERS).count();
            async move {
                let mut outcomes = Vec::with_capacity(mine);
                for _ in 0..mine {
                    outcomes.push(client.call(self.canister(), "inc", Encode!()?).await?);
                }
                anyhow::Ok(outcomes)
            }
        });
        let outcomes: Vec<Outcome> = futures::future::try_join_all(writers).await?.into_iter().flatten().collect();
        let elapsed = began.elapsed();
        let mut values = BTreeSet::new();
        let mut latencies: Vec<Duration> = Vec::new();
        for outcome in &outcomes {
            let reply = outcome
                .result
                .as_ref()
                .map_err(|rejection| anyhow::anyhow!("an increment was rejected: {rejection}"))?;
            values.insert(Decode!(reply, Nat)?);
            latencies.push(outcome.latency);
        }
        let expected: BTreeSet<Nat> = (from + 1..=from + count).map(Nat::from).collect();
        ensure!(values == expected, "the values are not {} to {}, each once", from + 1, from + count);
        latencies.sort();
        let median = latencies[latencies.len() / 2];
        let last = outcomes.into_iter().max_by_key(|outcome| outcome.height).context("there was nothing to do")?;
        let rate = count as f64 / elapsed.as_secs_f64();
        let evidence =
            format!("value {}, median {}, {rate:.0}/s, each certified", from + count, terminal::duration(median));
        Ok((last, evidence))
    }

    /// Waits until a replica has certified `height`.
    async fn reach(&mut self, index: usize, height: u64) -> Result<()> {
        self.testnet.wait("the same height", CATCH_UP, |replicas| replicas[index].certified_height() >= height).await?;
        Ok(())
    }

    async fn expect_value(&self, index: usize, expected: usize) -> Result<()> {
        let reply = self.clients[index].query(self.canister(), "get", Encode!()?).await?;
        let value = Decode!(&reply, Nat)?;
        ensure!(value == expected, "the value is {value}, not {expected}");
        Ok(())
    }

    /// A height that the victim certified after its return and another replica too, with its root.
    async fn common_root(&self) -> Result<(u64, String)> {
        let began = Instant::now();
        loop {
            let mine = self.clients[VICTIM].heights(HEIGHTS).await?;
            let theirs = self.clients[0].heights(HEIGHTS).await?;
            let pair =
                mine.iter().find_map(|mine| Some((mine, theirs.iter().find(|other| other.height == mine.height)?)));
            if let Some((mine, other)) = pair {
                ensure!(mine.state_root == other.state_root, "the state roots differ at height {}", mine.height);
                return Ok((mine.height, mine.state_root.clone()));
            }
            ensure!(began.elapsed() < CATCH_UP, "the replicas have no certified height in common");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn statement(&self) -> Result<Statement> {
        Ok(self.clients[0].bill(self.canister()).await?)
    }

    fn certified(&self, outcome: &Outcome) -> String {
        format!("certified ({}-of-{NODES} threshold) at height {}", self.threshold, outcome.height)
    }
}

/// Where `needle` is in `haystack` for the last time.
fn position(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).rposition(|window| window == needle)
}

fn lag(duration: Duration) -> String {
    if duration < Duration::from_millis(5) {
        String::new()
    } else {
        format!(" ({} behind)", terminal::duration(duration))
    }
}
