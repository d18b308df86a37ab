//! How long a replica takes that lost its disk to come back to a large state (`--catch-up`): once undisturbed, once killed in
//! the middle. The others serve meanwhile.

use crate::{
    canisters, floor, progress,
    report::{Line, ratio, time},
    subject::Subject,
};
use anyhow::{Context as _, Result, ensure};
use candid::Encode;
use serde::Deserialize;
use std::{
    fs,
    time::{Duration, Instant},
};

/// Whose disk is emptied.
const LOST: usize = 3;
/// MiB that one call of the hoard adds.
const MIB_EACH: u64 = 8;
/// Heights between two checkpoints.
const INTERVAL: u64 = 1_000;
/// Clients whose calls make heights pass.
const CLIENTS: usize = 4;
/// Time between two looks, and how long anything may take.
const LOOK: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(1_200);

#[derive(Deserialize)]
struct Status {
    certified_height: u64,
    healthy: bool,
    sync: Option<Sync>,
}

#[derive(Deserialize)]
struct Sync {
    phase: String,
    bytes: u64,
    text: String,
}

/// One way back.
struct Return {
    /// From the (last) start until the replica serves clients, and the part of it in which it fetched.
    serving: Duration,
    fetching: Duration,
    /// Bytes that came since the (last) start.
    bytes: u64,
}

/// Makes a state of so many MiB and measures.
///
/// # Errors
/// The network does not do as it should.
pub(crate) async fn measure(mebibytes: u64) -> Result<Vec<Line>> {
    let mut subject = Subject::start().await?;
    let hoard = subject.install(&canisters::hoard()).await?;
    let counter = subject.counter().await?;
    progress(&format!("writes {mebibytes} MiB of pages that are all different"));
    for _ in 0..mebibytes.div_ceil(MIB_EACH) {
        subject.client.call(hoard, "hoard", Vec::new()).await?.reply()?;
    }
    let written = status(&subject, 0).await?.certified_height;
    // The state is in the first checkpoint above it, and a checkpoint counts once the certificate of its height is beside it. Who is no
    // more than an interval behind gets the blocks instead.
    let checkpoint = (written / INTERVAL + 1).max(2) * INTERVAL;
    progress(&format!("makes heights pass up to the checkpoint of height {checkpoint}"));
    while status(&subject, 0).await?.certified_height < checkpoint + 10 {
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..CLIENTS {
            let (client, argument) = (subject.client.clone(), Encode!()?);
            calls.spawn(async move { client.call(counter, "inc", argument).await });
        }
        calls.join_all().await.into_iter().try_for_each(|called| called.map(drop))?;
    }
    let began = Instant::now();
    for replica in (0..4).filter(|replica| *replica != LOST) {
        let file = subject.node_dir(replica).join(format!("data/checkpoints/certificate-{checkpoint}"));
        while !file.exists() {
            ensure!(began.elapsed() < PATIENCE, "{} does not appear", file.display());
            tokio::time::sleep(LOOK).await;
        }
    }
    let bytes = mebibytes << 20;
    let copy = floor::disk_write(subject.directory(), bytes)?;
    let whole = come_back(&mut subject, None).await?;
    let resumed = come_back(&mut subject, Some(bytes / 2)).await?;
    subject.stop().await?;
    let rate = |bytes: u64, took: Duration| format!("{:.1} MB/s", bytes as f64 / 1e6 / took.as_secs_f64().max(1e-9));
    let floor = format!("the same bytes to one file, synced {}", time(copy));
    let line = |name: String, took: Duration| Line {
        name,
        figure: time(took),
        floor: floor.clone(),
        ratio: ratio(took.as_secs_f64(), copy.as_secs_f64()),
        target: "-",
    };
    Ok(vec![
        line(format!("emptied disk, {mebibytes} MiB of pages: from the start until it serves"), whole.serving),
        line(
            format!("  of that: fetching {:.0} MB ({})", whole.bytes as f64 / 1e6, rate(whole.bytes, whole.fetching)),
            whole.fetching,
        ),
        line("killed (SIGKILL) halfway: from the second start until it serves".into(), resumed.serving),
        line(
            format!(
                "  of that: fetching the last {:.0} MB ({})",
                resumed.bytes as f64 / 1e6,
                rate(resumed.bytes, resumed.fetching)
            ),
            resumed.fetching,
        ),
    ])
}

/// Empties the disk and waits for the replica to serve; kills it once when so many bytes have come.
async fn come_back(subject: &mut Subject, kill_at: Option<u64>) -> Result<Return> {
    subject.kill(LOST).await?;
    fs::remove_dir_all(subject.node_dir(LOST).join("data"))?;
    if let Some(bytes) = kill_at {
        progress(&format!("starts it on an empty disk, to kill it after {} MB", bytes / 1_000_000));
        subject.begin(LOST).await?;
        watch(subject, |sync, _| sync.is_some_and(|sync| sync.bytes >= bytes)).await?;
        subject.kill(LOST).await?;
    }
    progress("starts it");
    let began = Instant::now();
    subject.begin(LOST).await?;
    let mut fetched = (None, Duration::ZERO, 0);
    watch(subject, |sync, healthy| {
        if let Some(sync) = sync.filter(|sync| sync.phase == "state") {
            let since = *fetched.0.get_or_insert_with(Instant::now);
            fetched = (Some(since), since.elapsed(), sync.bytes);
        }
        healthy
    })
    .await?;
    let (fetching, bytes) = (fetched.1, fetched.2);
    Ok(Return { serving: began.elapsed(), fetching, bytes })
}

/// Looks at the replica until it is as it should be; says what it says of itself when that is new and some seconds passed.
async fn watch(subject: &Subject, mut is_so: impl FnMut(Option<&Sync>, bool) -> bool) -> Result<()> {
    let (began, mut told) = (Instant::now(), Duration::ZERO);
    loop {
        if let Ok(status) = status(subject, LOST).await {
            if is_so(status.sync.as_ref(), status.healthy) {
                return Ok(());
            }
            if let Some(sync) = status.sync
                && began.elapsed() >= told
            {
                progress(&format!("{:>5.1} s: {}", began.elapsed().as_secs_f64(), sync.text));
                told = began.elapsed() + Duration::from_secs(5);
            }
        }
        ensure!(began.elapsed() < PATIENCE, "the replica does not come back");
        tokio::time::sleep(LOOK).await;
    }
}

async fn status(subject: &Subject, replica: usize) -> Result<Status> {
    let response = reqwest::get(format!("{}/api/mains/v1/status", subject.urls[replica])).await?;
    let body = response.bytes().await?;
    serde_json::from_slice(&body).context("a status")
}
