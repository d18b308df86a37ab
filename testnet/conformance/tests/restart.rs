//! Power cuts: one replica, then all at once. What was certified stays, and the chain goes on.

use anyhow::{Context as _, Result, ensure};
use mains_client::{Client, Outcome};
use mains_conformance::{Network, Suite, manage, modules};
use mains_types::CanisterId;
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

const NODE: &str = env!("CARGO_BIN_EXE_conformance-node");
/// Where ports are looked for: away from other testnets.
const FIRST_PORT: u16 = 30_000;
/// Calls while one replica is down.
const CALLS: u64 = 20;
/// Calls that are certified before power fails under load, and how long that may take.
const CALLS_UNDER_LOAD: usize = 100;
const LOAD: Duration = Duration::from_secs(30);

#[test]
fn what_was_certified_survives_power_cuts() {
    mains_conformance::run(async {
        let mut network = Network::start(NODE, FIRST_PORT).await.expect("four replicas start");
        let client = network.client(0).expect("a client");
        let counter = manage::create_with(&client, &modules::counter()).await.expect("a counter");
        for victim in [3, 0] {
            one_replica(&mut network, counter, victim)
                .await
                .unwrap_or_else(|error| panic!("replica {victim} cut: {error:#}"));
        }
        all_at_once(&mut network, counter).await.unwrap_or_else(|error| panic!("all cut: {error:#}"));
        all_under_load(&mut network, counter).await.unwrap_or_else(|error| panic!("all cut under load: {error:#}"));
        let mut suite = Suite::new(&network);
        suite.case("the network is well after all this", async { Ok(()) }).await;
        suite.finish();
    });
}

async fn inc(client: &Client, counter: CanisterId) -> Result<(u64, Outcome)> {
    let outcome = client.call(counter, "inc", Vec::new()).await?;
    let value = manage::value(&outcome.clone().reply()?)?;
    Ok((value, outcome))
}

/// Three of four serve on; the fourth comes back to the same root at the same height and serves too.
async fn one_replica(network: &mut Network, counter: CanisterId, victim: usize) -> Result<()> {
    network.agree().await?;
    let before = manage::get(&network.client((victim + 1) % 4)?, counter).await?;
    network.kill(victim).await?;
    for index in 0..CALLS {
        let replica = (victim + 1 + index as usize % 3) % 4;
        let (value, _) = inc(&network.client(replica)?, counter).await.with_context(|| format!("call {index}"))?;
        ensure!(value == before + index + 1, "call {index} answers {value}, not {}", before + index + 1);
    }
    network.restart().await?;
    let agreed = network.agree().await?;
    let client = network.client(victim)?;
    ensure!(manage::get(&client, counter).await? == before + CALLS, "the restarted replica knows another value");
    let (value, outcome) = inc(&client, counter).await?;
    ensure!(value == before + CALLS + 1, "through the restarted replica: {value}");
    ensure!(outcome.height.get() > agreed.height, "the chain stands at {}", agreed.height);
    network.agree().await.map(drop)
}

/// A certified reply is still there when all four have lost power right after it.
async fn all_at_once(network: &mut Network, counter: CanisterId) -> Result<()> {
    let (value, outcome) = inc(&network.client(1)?, counter).await?;
    // So that each of them has served it.
    network.agree_from(outcome.height.get()).await?;
    network.kill_all().await?;
    network.restart().await?;
    // From the moment at which they say that they are ready, none serves anything older.
    for replica in 0..4 {
        ensure!(network.certified_height(replica).await? >= outcome.height.get(), "replica {replica} went back");
        let client = network.client(replica)?;
        ensure!(manage::get(&client, counter).await? == value, "replica {replica} knows another value");
        let (status, _) = client
            .agent()
            .request_status_raw(&ic_agent::RequestId::new(&outcome.request_id.0), counter)
            .await
            .with_context(|| format!("the request's status at replica {replica}"))?;
        match status {
            ic_agent::agent::RequestStatusResponse::Replied(reply) => {
                ensure!(manage::value(&reply.arg)? == value, "replica {replica} keeps another reply");
            }
            other => anyhow::bail!("replica {replica} has {other:?} where there was a reply"),
        }
    }
    let (next, later) = inc(&network.client(2)?, counter).await?;
    ensure!(next == value + 1, "it goes on with {next}, not {}", value + 1);
    ensure!(later.height > outcome.height, "the chain stands at {}", later.height);
    Ok(())
}

/// Clients call all the time while power fails: nothing certified is lost, and nothing runs twice.
async fn all_under_load(network: &mut Network, counter: CanisterId) -> Result<()> {
    network.agree().await?;
    let before = manage::get(&network.client(0)?, counter).await?;
    let (is_over, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let (report, mut reports) = tokio::sync::mpsc::channel(2 * CALLS_UNDER_LOAD);
    for replica in 0..4 {
        let (client, report) = (network.client(replica)?, report.clone());
        let (is_over, sent) = (is_over.clone(), sent.clone());
        tokio::spawn(async move {
            while !is_over.load(Ordering::Relaxed) {
                sent.fetch_add(1, Ordering::Relaxed);
                let Ok((value, outcome)) = inc(&client, counter).await else { break };
                let _ = report.send((value, outcome.latency)).await;
            }
        });
    }
    drop(report);
    let (mut certified, mut slowest) = (BTreeSet::new(), Duration::ZERO);
    let loaded = tokio::time::timeout(LOAD, async {
        while certified.len() < CALLS_UNDER_LOAD {
            let (value, latency) = reports.recv().await.context("all clients gave up")?;
            ensure!(certified.insert(value), "{value} was answered twice");
            slowest = slowest.max(latency);
        }
        Ok(())
    });
    loaded.await.with_context(|| format!("{CALLS_UNDER_LOAD} calls in {} s", LOAD.as_secs()))??;
    network.kill_all().await?;
    is_over.store(true, Ordering::Relaxed);
    network.restart().await?;
    // The clients send what was under way again: the same requests.
    while let Some((value, _)) = reports.recv().await {
        ensure!(certified.insert(value), "{value} was answered twice");
    }
    network.agree().await?;
    let after = manage::get(&network.client(3)?, counter).await?;
    let (sent, newest) = (sent.load(Ordering::Relaxed), certified.last().copied().unwrap_or(before));
    ensure!(after >= newest, "{newest} was certified, and it is {after} now");
    ensure!(after <= before + sent, "{sent} calls were sent, and it went from {before} to {after}");
    let counted = after - before;
    eprintln!(
        "{} of {sent} calls certified, the slowest before the cut in {slowest:?}; {counted} counted",
        certified.len()
    );
    Ok(())
}
