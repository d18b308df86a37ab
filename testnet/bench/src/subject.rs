//! The testnet that is measured: four processes of this very program, in a directory that goes away afterwards.

use crate::{canisters, slow_disk};
use anyhow::{Context as _, Result, bail};
use candid::Encode;
use mains_client::{Client, identity, management::Install};
use mains_local::{Options, Testnet};
use mains_types::{CanisterId, Cycles};
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// API port of the first replica: away from a testnet that a developer may have up.
const API_PORT: u16 = 5950;
/// Cycles of each measured canister.
const CANISTER_CYCLES: Cycles = Cycles(20_000_000_000_000);
/// Canisters made at the same time.
const MAKERS: usize = 32;
/// Clock ticks of a second in `/proc/<pid>/stat`.
const TICKS_PER_SECOND: f64 = 100.0;

/// If this process was started as a replica of the testnet, runs it to its end.
pub(crate) fn node_main() -> Option<Result<()>> {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).map(String::as_str) != Some("node") {
        return None;
    }
    let directory = arguments.last().map(PathBuf::from).unwrap_or_default();
    if let Err(error) = slow_disk::load(&directory) {
        return Some(Err(error));
    }
    mains_local::own_session();
    Some(mains_operator::run(&directory).map_err(Into::into))
}

/// A running testnet.
pub(crate) struct Subject {
    testnet: tokio::sync::Mutex<Testnet>,
    directory: tempfile::TempDir,
    /// URLs of the replicas.
    pub(crate) urls: Vec<String>,
    /// A client of the first replica, as the pre-funded anonymous principal.
    pub(crate) client: Client,
    pids: Vec<u32>,
    nodes: Vec<PathBuf>,
}

impl Subject {
    /// Starts four replicas.
    pub(crate) async fn start() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let mut testnet = Testnet::create(&Options {
            dir: directory.path().join("testnet"),
            binary: std::env::current_exe()?,
            nodes: Some(4),
            api_port: Some(API_PORT),
            require_publisher_signature: None,
            links: None,
        })?;
        for index in 0..4 {
            testnet.start(index)?;
        }
        let ready = testnet.ready().await?;
        let urls: Vec<String> = ready.iter().map(|replica| replica.api.clone()).collect();
        let pids = ready.iter().filter_map(|replica| replica.pid).collect();
        let client = Client::connect(&urls[0], identity::anonymous()).await?;
        let nodes = testnet.replicas().iter().map(|replica| replica.dir.clone()).collect();
        Ok(Self { testnet: tokio::sync::Mutex::new(testnet), directory, urls, client, pids, nodes })
    }

    /// A directory on the disk that the replicas use.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A fresh shipped counter.
    pub(crate) async fn counter(&self) -> Result<CanisterId> {
        self.install(canisters::COUNTER).await
    }

    /// A fresh canister with this module.
    pub(crate) async fn install(&self, module: &[u8]) -> Result<CanisterId> {
        install(self.client.clone(), module.to_vec()).await
    }

    /// Many of them.
    pub(crate) async fn counters(&self, count: usize) -> Result<Vec<CanisterId>> {
        let mut made = Vec::with_capacity(count);
        while made.len() < count {
            let batch = MAKERS.min(count - made.len());
            let tasks: Vec<_> =
                (0..batch).map(|_| tokio::spawn(install(self.client.clone(), canisters::COUNTER.to_vec()))).collect();
            for task in tasks {
                made.push(task.await??);
            }
        }
        Ok(made)
    }

    /// Time of one call from canister to canister, its reply and callback included: the slope between a run with none
    /// and a run with `calls` of them, so that ordering and certification fall out.
    pub(crate) async fn relay(&self, calls: u32) -> Result<Duration> {
        let relay = install(self.client.clone(), canisters::relay()).await?;
        let peer = install(self.client.clone(), canisters::relay()).await?;
        let argument = |count: u32| [&count.to_le_bytes()[..], peer.as_slice()].concat();
        let mut times = [Duration::MAX; 2];
        for _ in 0..5 {
            for (time, count) in times.iter_mut().zip([0, calls]) {
                let began = Instant::now();
                self.client.call(relay, "run", argument(count)).await?.reply()?;
                *time = (*time).min(began.elapsed());
            }
        }
        // All four replicas share the cores: what one of them needs is what was seen, at most.
        Ok(times[1].saturating_sub(times[0]) / calls)
    }

    /// Resident memory of a replica, the greatest of the four.
    pub(crate) fn memory_bytes(&self) -> Result<u64> {
        let resident = |pid: &u32| -> Result<u64> {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
            let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("VmRSS")?;
            Ok(line.split_whitespace().nth(1).context("VmRSS")?.parse::<u64>()? * 1024)
        };
        self.pids.iter().map(resident).try_fold(0, |greatest, bytes| Ok(bytes?.max(greatest)))
    }

    /// Processor time that all replicas used so far.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        let mut ticks = 0.0;
        for pid in &self.pids {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
            let Some((_, fields)) = stat.rsplit_once(')') else { bail!("/proc/{pid}/stat") };
            let fields: Vec<&str> = fields.split_whitespace().collect();
            ticks += fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
        }
        Ok(ticks / TICKS_PER_SECOND)
    }

    /// Ends a replica as a power cut would.
    pub(crate) async fn kill(&self, index: usize) -> Result<()> {
        Ok(self.testnet.lock().await.kill(index).await?)
    }

    /// A replica's directory.
    pub(crate) fn node_dir(&self, index: usize) -> &Path {
        &self.nodes[index]
    }

    /// Starts a replica and waits for nothing.
    pub(crate) async fn begin(&mut self, index: usize) -> Result<()> {
        let mut testnet = self.testnet.lock().await;
        testnet.start(index)?;
        self.pids[index] = testnet.pid(index).context("it ended at once")?;
        Ok(())
    }

    /// Starts a replica again and waits until all serve.
    pub(crate) async fn restart(&mut self, index: usize) -> Result<()> {
        let mut testnet = self.testnet.lock().await;
        testnet.start(index)?;
        self.pids = testnet.ready().await?.iter().filter_map(|replica| replica.pid).collect();
        Ok(())
    }

    /// Stops a replica's process where it is, or lets it go on.
    pub(crate) fn pause(&self, index: usize, is_paused: bool) -> Result<()> {
        let pid = rustix::process::Pid::from_raw(self.pids[index] as i32).context("a process id")?;
        let signal = if is_paused { rustix::process::Signal::STOP } else { rustix::process::Signal::CONT };
        Ok(rustix::process::kill_process(pid, signal)?)
    }

    /// Waits until all replicas serve.
    pub(crate) async fn ready(&self) -> Result<()> {
        self.testnet.lock().await.ready().await?;
        Ok(())
    }

    /// Stops the replicas.
    pub(crate) async fn stop(&self) -> Result<()> {
        Ok(self.testnet.lock().await.stop_all().await?)
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        // After an error too nothing may be left running; ids are those of our own children.
        for pid in &self.pids {
            if let Some(pid) = rustix::process::Pid::from_raw(*pid as i32) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }
}

async fn install(client: Client, module: Vec<u8>) -> Result<CanisterId> {
    let (canister, _) = client.create_canister(CANISTER_CYCLES).await?;
    client.install(canister, Install::Fresh, &module, Encode!()?).await?.reply()?;
    Ok(canister)
}
