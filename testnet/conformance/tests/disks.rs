//! One disk of four is full, emptied, rotten, or put back from an old backup: its replica says so, the others go on, and it comes
//! back to the same state without anybody's help.

use anyhow::{Context as _, Result, bail, ensure};
use mains_client::management::Install;
use mains_conformance::{Network, Suite, manage, modules, request};
use mains_operator::RestoreOptions;
use mains_types::{CanisterId, Cycles};
use serde::Deserialize;
use std::{
    fs::{self, File},
    io::Write,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

/// Writes a checkpoint every 100 heights.
const NODE: &str = env!("CARGO_BIN_EXE_busy-node");
const INTERVAL: u64 = 100;
/// Where ports are looked for: away from other testnets.
const FIRST_PORT: u16 = 34_000;
/// Whose disk it is.
const VICTIM: usize = 3;
/// Size of the disk that becomes full, and the reserve that its node is told to keep.
const DISK_MB: u64 = 192;
const RESERVE_MB: u64 = 16;
/// Calls of 8 MiB each that make the state which an emptied disk has to fetch.
const HOARDS: usize = 2;
/// Bytes that the chain and the checkpoints of this network may take, however long it runs.
const CHAIN_BYTES_MAX: u64 = 16 << 20;
const CHECKPOINT_BYTES_MAX: u64 = 200 << 20;
/// How long anything may take to come about.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_full_an_emptied_a_rotten_and_a_restored_disk_cost_one_replica_some_time_and_nobody_anything_else() {
    mains_conformance::run(async {
        let mut network = Network::start(NODE, FIRST_PORT).await.expect("four replicas start");
        let client = network.client(0).expect("a client");
        let counter = manage::create_with(&client, &modules::counter()).await.expect("a counter");
        full(&mut network, counter).await.unwrap_or_else(|error| panic!("full: {error:#}"));
        emptied(&mut network, counter).await.unwrap_or_else(|error| panic!("emptied: {error:#}"));
        let file = backed_up(&network).unwrap_or_else(|error| panic!("backed up: {error:#}"));
        rotten(&mut network, counter).await.unwrap_or_else(|error| panic!("rotten: {error:#}"));
        broken_chain(&mut network, counter).await.unwrap_or_else(|error| panic!("broken chain: {error:#}"));
        bounded(&network, counter).await.unwrap_or_else(|error| panic!("bounded: {error:#}"));
        restored(&mut network, counter, &file).await.unwrap_or_else(|error| panic!("restored: {error:#}"));
        let mut suite = Suite::new(&network);
        suite.case("the network is well after all this", async { Ok(()) }).await;
        suite.finish();
    });
}

#[derive(Deserialize)]
struct Report {
    certified_height: u64,
    healthy: bool,
    reason: Option<String>,
    disk: Disk,
}

#[derive(Deserialize)]
struct Disk {
    free_bytes: Option<u64>,
    waiting_count: usize,
    failures_count: u64,
}

async fn report(network: &Network, replica: usize) -> Result<Report> {
    network.json(replica, "/api/mains/v1/status").await
}

/// Waits until the victim's report is as it should be.
async fn until(network: &Network, what: &str, is_so: impl Fn(&Report) -> bool) -> Result<Report> {
    let began = Instant::now();
    loop {
        let last = report(network, VICTIM).await;
        match last {
            Ok(report) if is_so(&report) => return Ok(report),
            Ok(report) if began.elapsed() > PATIENCE => bail!("no {what}: {:?}", report.reason),
            Err(error) if began.elapsed() > PATIENCE => return Err(error.context(format!("no {what}"))),
            _ => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Calls through the others until the chain is so many heights higher.
async fn advance(network: &Network, counter: CanisterId, heights: u64) -> Result<u64> {
    let mut height = report(network, 0).await?.certified_height;
    let (target, mut moved) = (height + heights, Instant::now());
    while height < target {
        ensure!(moved.elapsed() < PATIENCE, "the chain stands at height {height}");
        let clients = [network.client(0)?, network.client(1)?, network.client(2)?];
        let calls = clients.iter().map(|client| client.call(counter, "inc", Vec::new()));
        futures::future::try_join_all(calls).await?;
        let now = report(network, 0).await?.certified_height;
        if now > height {
            (height, moved) = (now, Instant::now());
        }
    }
    Ok(target)
}

/// A file system of its own in memory; gone when dropped.
struct Mounted(PathBuf);

impl Mounted {
    /// `None` where mounting is not allowed.
    fn on(place: &Path) -> Option<Self> {
        let options = format!("size={DISK_MB}m,mode=700");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(place).status();
        mounted.is_ok_and(|status| status.success()).then(|| Self(place.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let copied = Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status()?;
    ensure!(copied.success(), "cannot copy {} to {}", from.display(), to.display());
    Ok(())
}

/// Writes until there are so many bytes left, or none.
fn fill(place: &Path, left: u64) -> Result<PathBuf> {
    let path = place.join("filler");
    let mut file = File::options().append(true).create(true).open(&path)?;
    let block = [7; 4096];
    loop {
        let free = rustix::fs::statvfs(place)?;
        if free.f_bavail * free.f_frsize <= left && left > 0 {
            return Ok(path);
        }
        if file.write_all(&block).is_err() {
            return Ok(path);
        }
    }
}

async fn full(network: &mut Network, counter: CanisterId) -> Result<()> {
    let dir = network.node_dir(VICTIM).to_owned();
    let (data, aside) = (dir.join("data"), dir.join("aside"));
    network.kill(VICTIM).await?;
    fs::rename(&data, &aside)?;
    fs::create_dir(&data)?;
    let Some(mounted) = Mounted::on(&data) else {
        eprintln!("the full disk is left out: this user may not mount file systems");
        fs::remove_dir(&data)?;
        fs::rename(&aside, &data)?;
        return network.restart().await;
    };
    copy(&aside, &data)?;
    let config = fs::read_to_string(dir.join("node.toml"))?;
    let reserve = format!("disk_reserve_mb = {RESERVE_MB}");
    ensure!(config.contains("disk_reserve_mb = 512"), "the reserve is in the config");
    fs::write(dir.join("node.toml"), config.replace("disk_reserve_mb = 512", &reserve))?;
    network.restart().await?;
    network.agree().await?;
    let process = network.pid(VICTIM);

    // Below the reserve it takes no calls and goes on signing.
    let filler = fill(&data, (RESERVE_MB - 2) * 1_000_000)?;
    let short = until(network, "warning", |report| !report.healthy).await?;
    ensure!(short.reason.as_ref().is_some_and(|why| why.contains("less than the reserve")), "{:?}", short.reason);
    let envelope = request::anonymous_call(counter, "inc");
    let refused = network.post(VICTIM, &request::path(counter, "call"), envelope.encode_bytes()).await?;
    refused.is_refused(503, "MAINS-1204", "disk")?;
    let height = advance(network, counter, 3).await?;
    until(network, "height with little room", |report| report.certified_height >= height).await?;

    // Full, it signs nothing, answers queries, and says why.
    fill(&data, 0)?;
    let began = Instant::now();
    let stuck = loop {
        ensure!(began.elapsed() < PATIENCE, "a full disk is not noticed");
        advance(network, counter, 2).await?;
        let stuck = report(network, VICTIM).await?;
        if stuck.disk.waiting_count > 0 {
            break stuck;
        }
    };
    ensure!(stuck.reason.as_ref().is_some_and(|why| why.contains("takes no writes (")), "{:?}", stuck.reason);
    until(network, "look at the disk", |report| report.disk.free_bytes.is_some_and(|free| free < 1 << 20)).await?;
    let metrics = network.text(VICTIM, "/metrics").await?;
    ensure!(metrics.lines().any(|line| line.starts_with("mains_store_waiting_writes_count ") && !line.ends_with(" 0")));
    let before = manage::get(&network.client(VICTIM)?, counter).await?;
    let height = advance(network, counter, 20).await?;
    let still = report(network, VICTIM).await?;
    ensure!(still.certified_height < height, "it signs on a full disk");
    ensure!(manage::get(&network.client(VICTIM)?, counter).await? >= before, "it answers");

    // With room it goes on by itself.
    fs::remove_file(filler)?;
    let well = until(network, "recovery", |report| report.healthy && report.certified_height >= height).await?;
    ensure!(well.disk.waiting_count == 0 && well.disk.failures_count > 0, "it knows what failed");
    ensure!(network.pid(VICTIM) == process, "it was the same process all the time");
    network.agree().await?;

    network.kill(VICTIM).await?;
    fs::remove_dir_all(&aside)?;
    fs::create_dir(&aside)?;
    copy(&data, &aside)?;
    drop(mounted);
    fs::remove_dir(&data)?;
    fs::rename(&aside, &data)?;
    network.restart().await
}

/// Waits until the victim votes again, while the chain moves.
async fn votes_again(network: &Network, counter: CanisterId) -> Result<()> {
    let marker = network.node_dir(VICTIM).join("data/votes.whole");
    let began = Instant::now();
    while !marker.exists() {
        ensure!(began.elapsed() < PATIENCE, "it never votes again");
        advance(network, counter, 10).await?;
    }
    Ok(())
}

async fn emptied(network: &mut Network, counter: CanisterId) -> Result<()> {
    let dir = network.node_dir(VICTIM).to_owned();
    let hoard = manage::create(&network.client(0)?, Cycles(20_000_000_000_000_000)).await?;
    manage::done(manage::install(&network.client(0)?, hoard, Install::Fresh, &modules::hoard()).await?)?;
    for _ in 0..HOARDS {
        network.client(0)?.call(hoard, "hoard", Vec::new()).await?;
    }
    advance(network, counter, 2 * INTERVAL + 10).await?;
    let before = network.agree().await?;
    network.kill(VICTIM).await?;
    fs::remove_dir_all(dir.join("data"))?;
    network.restart().await?;
    ensure!(!dir.join("data/votes.whole").exists(), "it does not know what it voted");
    network.agree_from(before.height).await?;
    // By a state, or by all blocks while somebody has them.
    let log = fs::read_to_string(network.log(VICTIM))?;
    ensure!(log.contains("none goes out up to this view"), "it does not say that it keeps its votes to itself");
    let others = manage::get(&network.client(0)?, counter).await?;
    ensure!(manage::get(&network.client(VICTIM)?, counter).await? == others, "it serves another value");
    votes_again(network, counter).await
}

/// The greatest pack of objects.
fn greatest_pack(checkpoints: &Path) -> Result<PathBuf> {
    let packs = fs::read_dir(checkpoints.join("objects"))?.collect::<std::io::Result<Vec<_>>>()?;
    let sizes = packs.iter().filter_map(|pack| Some((pack.metadata().ok()?.len(), pack.path())));
    Ok(sizes.max().context("no packs")?.1)
}

/// Flips a bit so many percent into a file.
fn flip(path: &Path, percent: u64) -> Result<()> {
    let file = File::options().read(true).write(true).open(path)?;
    let at = file.metadata()?.len() * percent / 100;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at)?;
    Ok(file.write_all_at(&[byte[0] ^ 1], at)?)
}

async fn rotten(network: &mut Network, counter: CanisterId) -> Result<()> {
    let checkpoints = network.node_dir(VICTIM).join("data/checkpoints");
    advance(network, counter, INTERVAL + 10).await?;
    let before = network.agree().await?;
    network.kill(VICTIM).await?;
    flip(&greatest_pack(&checkpoints)?, 50)?;
    network.restart().await?;
    network.agree_from(before.height).await?;
    let log = fs::read_to_string(network.log(VICTIM))?;
    ensure!(log.contains("an object is damaged"), "the damage was not found");
    // It is kept for whoever wants to look, and what it held is put again.
    let began = Instant::now();
    let is_aside = || {
        fs::read_dir(checkpoints.join("objects")).is_ok_and(|mut all| {
            all.any(|entry| entry.is_ok_and(|entry| entry.path().extension().is_some_and(|end| end == "corrupt")))
        })
    };
    while !is_aside() {
        ensure!(began.elapsed() < PATIENCE, "the damaged pack is not set aside");
        advance(network, counter, INTERVAL).await?;
    }
    Ok(())
}

fn bytes_below(path: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() { bytes_below(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(bytes)
}

/// However many blocks there were, those that nothing needs any more are gone.
async fn bounded(network: &Network, counter: CanisterId) -> Result<()> {
    let height = report(network, 0).await?.certified_height;
    advance(network, counter, (12 * INTERVAL).saturating_sub(height)).await?;
    for replica in [0, VICTIM] {
        let data = network.node_dir(replica).join("data");
        for archive in ["mains-blocks-value", "mains-finalizations-value"] {
            // A file holds 512 heights; the first one goes when two checkpoints are above it.
            let files = fs::read_dir(data.join("chain").join(archive))?.count();
            ensure!((1..=2).contains(&files), "{archive} of replica {replica} has {files} files");
        }
        let (chain, checkpoints) = (bytes_below(&data.join("chain"))?, bytes_below(&data.join("checkpoints"))?);
        eprintln!("replica {replica}: chain {chain} bytes, checkpoints {checkpoints} bytes");
        ensure!(chain < CHAIN_BYTES_MAX, "the chain of replica {replica} takes {chain} bytes");
        ensure!(checkpoints < CHECKPOINT_BYTES_MAX, "the checkpoints of replica {replica} take {checkpoints} bytes");
    }
    Ok(())
}

/// A backup of the victim, taken while it runs and checked as anybody can who has the root key.
fn backed_up(network: &Network) -> Result<PathBuf> {
    let file = network.directory().join("victim.backup");
    let report = mains_operator::backup(network.node_dir(VICTIM), &file, false)?;
    let verified = mains_operator::verify_backup(&file, Some(network.root_key()))?;
    ensure!(verified == report, "verified as {verified:?}");
    ensure!(mains_operator::verify_backup(&file, Some(&[1; 133])).is_err(), "another root key");
    Ok(file)
}

/// The backup is so old that nobody has the blocks after it any more: the replica takes a newer state, and votes only when it
/// cannot contradict what it signed since the backup.
async fn restored(network: &mut Network, counter: CanisterId, file: &Path) -> Result<()> {
    let dir = network.node_dir(VICTIM).to_owned();
    let before = network.agree().await?;
    let refused = mains_operator::restore(file, &dir, &RestoreOptions { replace: true, ..RestoreOptions::default() });
    ensure!(refused.is_err_and(|error| error.to_string().contains("in use")), "a running node's data were replaced");
    network.kill(VICTIM).await?;
    ensure!(mains_operator::restore(file, &dir, &RestoreOptions::default()).is_err(), "data in the way were replaced");
    mains_operator::restore(file, &dir, &RestoreOptions { replace: true, ..RestoreOptions::default() })?;
    ensure!(!dir.join("data/votes.whole").exists(), "it does not know what it voted");
    network.restart().await?;
    network.agree_from(before.height).await?;
    votes_again(network, counter).await
}

/// The newest file of a part of the chain.
fn newest(data: &Path, part: &str) -> Result<PathBuf> {
    let files = fs::read_dir(data.join("chain").join(part))?.collect::<std::io::Result<Vec<_>>>()?;
    files.into_iter().map(|file| file.path()).max().with_context(|| format!("{part} has no files"))
}

/// A block that the replica needs after its start is rotten: it takes a newer state. A file that cannot even be opened ends it, and its
/// next start gets the chain from the others.
async fn broken_chain(network: &mut Network, counter: CanisterId) -> Result<()> {
    let data = network.node_dir(VICTIM).join("data");
    // So that some of the newest blocks are in no checkpoint yet, and are read at the start.
    while report(network, VICTIM).await?.certified_height % INTERVAL < INTERVAL / 2 {
        advance(network, counter, 10).await?;
    }
    let before = network.agree().await?;
    network.kill(VICTIM).await?;
    flip(&newest(&data, "mains-blocks-value")?, 95)?;
    network.begin(VICTIM)?;
    advance(network, counter, INTERVAL).await?;
    network.agree_from(before.height + INTERVAL / 2).await?;

    let before = network.agree().await?;
    network.kill(VICTIM).await?;
    flip(&newest(&data, "mains-blocks-value")?, 0)?;
    network.begin(VICTIM)?;
    let began = Instant::now();
    while network.pid(VICTIM).is_some() {
        ensure!(began.elapsed() < PATIENCE, "it goes on with a damaged chain");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    ensure!(data.join("chain.damaged").exists(), "it does not say what is wrong");
    network.restart().await?;
    ensure!(data.join("chain.corrupt").exists(), "the damaged chain is not kept");
    network.agree_from(before.height).await?;
    votes_again(network, counter).await
}
