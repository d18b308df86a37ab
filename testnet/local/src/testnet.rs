//! A test network: make it, start it, end replicas and start them again.

use crate::{
    DEFAULT_API_PORT, DEFAULT_NODES, LocalError, ReplicaStatus,
    files::{self, ReplicaFile, TestnetFile},
    links::Links,
    ports,
    process::{self, Lifetime},
};
use futures::stream::{self, Stream, StreamExt as _};
use mains_operator::{Addresses, RequiredSignature, TestnetOptions};
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Child,
    sync::Arc,
    time::{Duration, Instant},
};

/// How long replicas may take to form a subnet. The first start compiles nothing; a loaded machine is slow.
const READY: Duration = Duration::from_secs(60);
/// How long a replica may take to end in order.
const ORDERLY_END: Duration = Duration::from_secs(10);
/// How long the system may take to remove a killed process.
const END: Duration = Duration::from_secs(10);
/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// What a test network should look like.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where its files go.
    pub dir: PathBuf,
    /// The `mains` binary that replicas run.
    pub binary: PathBuf,
    /// Replicas; [`DEFAULT_NODES`] if nothing is asked for.
    pub nodes: Option<usize>,
    /// API port of the first replica; [`DEFAULT_API_PORT`] if nothing is asked for.
    pub api_port: Option<u16>,
    /// Whose modules it installs; if nothing is asked for, everybody's, or what an earlier start has decided.
    pub require_publisher_signature: Option<RequiredSignature>,
    /// Cables of its replicas, one for each; then their addresses are those. Else all are on loopback.
    pub links: Option<Arc<Links>>,
}

/// A test network and, for those that this process started, its processes.
pub struct Testnet {
    dir: PathBuf,
    binary: PathBuf,
    file: TestnetFile,
    lifetime: Lifetime,
    links: Option<Arc<Links>>,
    children: BTreeMap<usize, Child>,
}

impl Testnet {
    /// Makes the files of a new test network; nothing runs yet.
    ///
    /// # Errors
    /// The directory is not empty or cannot be written to, a port is in use, a number that makes no network.
    pub fn create(options: &Options) -> Result<Self, LocalError> {
        let nodes = options.nodes.unwrap_or(DEFAULT_NODES);
        if !(1..=40).contains(&nodes) {
            return Err(LocalError::NodesCount { nodes });
        }
        let dir = absolute(&options.dir)?;
        files::make_empty(&dir)?;
        let required = options.require_publisher_signature.clone().unwrap_or_default();
        let addresses = match &options.links {
            Some(links) => links.addresses(),
            None => ports::in_a_row(options.api_port.unwrap_or(DEFAULT_API_PORT), nodes)?,
        };
        let made = Self::make(dir, &options.binary, addresses, required)?;
        Ok(Self { links: options.links.clone(), ..made })
    }

    /// Writes the files of a new test network into an empty directory.
    fn make(
        dir: PathBuf,
        binary: &Path,
        addresses: Vec<Addresses>,
        required: RequiredSignature,
    ) -> Result<Self, LocalError> {
        let network = "testnet".to_owned();
        let made = mains_operator::create_testnet(
            &dir,
            &TestnetOptions {
                network: network.clone(),
                nodes: addresses.len(),
                addresses: addresses.clone(),
                funded: Vec::new(),
                require_publisher_signature: required.clone(),
            },
        )?;
        let replicas = made
            .nodes
            .into_iter()
            .zip(made.node_ids)
            .zip(&addresses)
            .map(|((dir, node_id), at)| ReplicaFile { node_id: node_id.to_text(), api: at.api_url(), dir, pid: None })
            .collect();
        let api_port = addresses.first().map_or(DEFAULT_API_PORT, |first| first.api.port());
        let file = TestnetFile { network, api_port, replicas, require_publisher_signature: required };
        file.write(&dir)?;
        Ok(Self::without_children(dir, binary, file))
    }

    /// With these files, none of whose processes is this one's child.
    fn without_children(dir: PathBuf, binary: &Path, file: TestnetFile) -> Self {
        let (binary, children) = (binary.to_owned(), BTreeMap::new());
        Self { dir, binary, file, lifetime: Lifetime::Own, links: None, children }
    }

    /// Continues the test network in `dir`, or makes one of [`DEFAULT_NODES`], with the first replica's API at `gateway`
    /// (port 0: one that is free) and everything else on free ports of loopback. Nothing runs yet. Replicas that are
    /// ending, because the process that they belonged to was killed, are waited for.
    ///
    /// # Errors
    /// It runs already; the directory is not empty or cannot be written to; the port is in use.
    pub async fn open_or_create_at(dir: &Path, binary: &Path, gateway: SocketAddr) -> Result<Self, LocalError> {
        let dir = absolute(dir)?;
        let mut testnet = match Self::open(&dir, binary) {
            Err(LocalError::Missing { .. }) => {
                files::make_empty(&dir)?;
                let addresses = ports::around(gateway, &dir, DEFAULT_NODES)?;
                return Self::make(dir.clone(), binary, addresses, RequiredSignature::default());
            }
            opened => opened?,
        };
        let began = Instant::now();
        while testnet.is_running() {
            if began.elapsed() > ORDERLY_END {
                return Err(LocalError::Running { path: testnet.dir });
            }
            tokio::time::sleep(LOOK).await;
        }
        let addresses = ports::around(gateway, &testnet.dir, testnet.file.replicas.len())?;
        let dirs: Vec<PathBuf> = testnet.file.replicas.iter().map(|replica| replica.dir.clone()).collect();
        mains_operator::move_testnet(&dirs, &addresses)?;
        testnet.file.api_port = addresses[0].api.port();
        for (replica, at) in testnet.file.replicas.iter_mut().zip(&addresses) {
            (replica.api, replica.pid) = (at.api_url(), None);
        }
        testnet.file.write(&testnet.dir)?;
        Ok(testnet)
    }

    /// Lets replicas started from now on end with this process, even if it is killed. Else they outlive it.
    pub fn end_with_this_process(&mut self) {
        self.lifetime = Lifetime::Parent;
    }

    /// Opens the test network in `dir`, running or not.
    ///
    /// # Errors
    /// [`LocalError::Missing`] if there is none, [`LocalError::Damaged`].
    pub fn open(dir: &Path, binary: &Path) -> Result<Self, LocalError> {
        let dir = absolute(dir)?;
        let file = TestnetFile::read(&dir)?.ok_or_else(|| LocalError::Missing { path: dir.clone() })?;
        Ok(Self::without_children(dir, binary, file))
    }

    /// Continues the test network in the directory if there is one that is stopped, else makes one.
    ///
    /// # Errors
    /// As [`Testnet::create`]; also if it runs already or is not what was asked for.
    pub fn open_or_create(options: &Options) -> Result<Self, LocalError> {
        let testnet = match Self::open(&options.dir, &options.binary) {
            Err(LocalError::Missing { .. }) => return Self::create(options),
            opened => opened?,
        };
        if testnet.is_running() {
            return Err(LocalError::Running { path: testnet.dir });
        }
        let different = |what: String| Err(LocalError::Different { path: testnet.dir.clone(), what });
        if options.nodes.is_some_and(|nodes| nodes != testnet.file.replicas.len()) {
            return different(format!("{} nodes", testnet.file.replicas.len()));
        }
        if options.api_port.is_some_and(|port| port != testnet.file.api_port) {
            return different(format!("port {}", testnet.file.api_port));
        }
        let required = &testnet.file.require_publisher_signature;
        if options.require_publisher_signature.as_ref().is_some_and(|asked| asked != required) {
            return different(files::described(required));
        }
        ports::check_api(testnet.file.api_port, testnet.file.replicas.len())?;
        Ok(testnet)
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its replicas.
    pub fn replicas(&self) -> &[ReplicaFile] {
        &self.file.replicas
    }

    /// Port of the first replica's API.
    pub fn api_port(&self) -> u16 {
        self.file.api_port
    }

    /// Whether any replica's process lives.
    pub fn is_running(&self) -> bool {
        (0..self.file.replicas.len()).any(|index| self.pid(index).is_some())
    }

    /// The process of a replica, if it lives.
    pub fn pid(&self, index: usize) -> Option<u32> {
        let replica = self.file.replicas.get(index)?;
        replica.pid.filter(|pid| process::is_alive(*pid, &replica.dir))
    }

    /// Starts every replica that does not run.
    ///
    /// # Errors
    /// A process cannot be started; those started before run on.
    pub fn start_all(&mut self) -> Result<(), LocalError> {
        for index in 0..self.file.replicas.len() {
            self.start(index)?;
        }
        Ok(())
    }

    /// Starts a replica, unless it runs.
    ///
    /// # Errors
    /// [`LocalError::NoSuchReplica`], or its process cannot be started.
    pub fn start(&mut self, index: usize) -> Result<(), LocalError> {
        self.check(index)?;
        if self.pid(index).is_none() {
            let child = process::spawn(&self.command(index), &self.file.replicas[index], self.lifetime)?;
            self.file.replicas[index].pid = Some(child.id());
            self.children.insert(index, child);
            self.file.write(&self.dir)?;
        }
        Ok(())
    }

    /// The words that run the `mains` binary where a replica is.
    fn command(&self, index: usize) -> Vec<OsString> {
        let place = self.links.as_ref().map(|links| links.enter(index)).unwrap_or_default();
        place.into_iter().chain([self.binary.clone().into_os_string()]).collect()
    }

    /// Whether its replicas have cables that can be pulled.
    pub fn has_links(&self) -> bool {
        self.links.is_some()
    }

    /// Cuts these replicas off from the others and from clients, and joins all others again. Without cables nothing happens.
    ///
    /// # Errors
    /// The system refuses.
    pub fn cut_off(&mut self, island: &BTreeSet<usize>) -> Result<(), LocalError> {
        self.links.as_ref().map_or(Ok(()), |links| links.cut_off(island))
    }

    /// Ends a replica at once, as a power cut would (SIGKILL).
    ///
    /// # Errors
    /// [`LocalError::NoSuchReplica`], or the system does not remove the process.
    pub async fn kill(&mut self, index: usize) -> Result<(), LocalError> {
        self.check(index)?;
        if let Some(pid) = self.pid(index) {
            process::kill(pid);
            self.ended(index, pid, END).await?;
        }
        self.forget(index)
    }

    /// Ends all replicas at the same moment, as a power cut of the whole rack would.
    ///
    /// # Errors
    /// The system does not remove a process.
    pub async fn kill_all(&mut self) -> Result<(), LocalError> {
        (0..self.file.replicas.len()).filter_map(|index| self.pid(index)).for_each(process::kill);
        for index in 0..self.file.replicas.len() {
            self.kill(index).await?;
        }
        Ok(())
    }

    /// Stops a replica's process where it is (SIGSTOP), or lets it go on.
    ///
    /// # Errors
    /// [`LocalError::NoSuchReplica`].
    pub fn pause(&mut self, index: usize, is_paused: bool) -> Result<(), LocalError> {
        self.check(index)?;
        if let Some(pid) = self.pid(index) {
            process::pause(pid, is_paused);
        }
        Ok(())
    }

    /// Ends all replicas in order (SIGTERM), and by force those that do not follow.
    ///
    /// # Errors
    /// The system does not remove a process.
    pub async fn stop_all(&mut self) -> Result<(), LocalError> {
        // Another command may have started a replica again meanwhile.
        if let Ok(Some(file)) = TestnetFile::read(&self.dir) {
            self.file = file;
        }
        let alive: Vec<(usize, u32)> =
            (0..self.file.replicas.len()).filter_map(|index| Some((index, self.pid(index)?))).collect();
        for (_, pid) in &alive {
            process::terminate(*pid);
        }
        let began = Instant::now();
        for (index, pid) in alive {
            let left = ORDERLY_END.saturating_sub(began.elapsed());
            if self.ended(index, pid, left).await.is_err() {
                process::kill(pid);
                self.ended(index, pid, END).await?;
            }
            self.forget(index)?;
        }
        Ok(())
    }

    /// Waits until every replica that was started serves clients and is connected to all others that were.
    ///
    /// # Errors
    /// [`LocalError::Died`] with a replica's last words, [`LocalError::TooLate`].
    pub async fn ready(&mut self) -> Result<Vec<ReplicaStatus>, LocalError> {
        let started = self.file.replicas.iter().filter(|replica| replica.pid.is_some()).count();
        self.wait("forming a subnet", READY, |replicas| {
            let ready = |replica: &&ReplicaStatus| replica.is_healthy() && replica.connected_count() + 1 >= started;
            replicas.iter().filter(ready).count() == started
        })
        .await
    }

    /// Waits until `predicate` holds for the replicas; `what` names it for an error.
    ///
    /// # Errors
    /// [`LocalError::Died`] if a started replica ends meanwhile, [`LocalError::TooLate`].
    pub async fn wait(
        &mut self,
        what: &str,
        patience: Duration,
        predicate: impl Fn(&[ReplicaStatus]) -> bool,
    ) -> Result<Vec<ReplicaStatus>, LocalError> {
        let began = Instant::now();
        loop {
            let replicas = self.status().await;
            if predicate(&replicas) {
                return Ok(replicas);
            }
            for (index, replica) in self.file.replicas.iter().enumerate() {
                if replica.pid.is_some() && self.pid(index).is_none() {
                    let log = replica.log();
                    return Err(LocalError::Died { index, last_words: files::last_line(&log), log });
                }
            }
            if began.elapsed() > patience {
                return Err(LocalError::TooLate {
                    what: what.into(),
                    seconds: patience.as_secs(),
                    logs: self.dir.clone(),
                });
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// How every replica is doing now.
    pub async fn status(&self) -> Vec<ReplicaStatus> {
        self.ask_all().collect().await
    }

    /// The first replica that serves clients; those after it are not waited for.
    pub async fn first_healthy(&self) -> Option<ReplicaStatus> {
        let healthy = self.ask_all().filter(|replica| std::future::ready(replica.is_healthy()));
        std::pin::pin!(healthy).next().await
    }

    /// Asks all replicas at once, answers in order.
    fn ask_all(&self) -> impl Stream<Item = ReplicaStatus> {
        let replicas = self.file.replicas.iter().enumerate();
        let asked = replicas.map(|(index, replica)| ReplicaStatus::ask(index, replica, self.pid(index)));
        stream::iter(asked).buffered(self.file.replicas.len().max(1))
    }

    fn check(&self, index: usize) -> Result<(), LocalError> {
        let count = self.file.replicas.len();
        if index < count { Ok(()) } else { Err(LocalError::NoSuchReplica { index, last: count.saturating_sub(1) }) }
    }

    fn forget(&mut self, index: usize) -> Result<(), LocalError> {
        self.file.replicas[index].pid = None;
        self.file.write(&self.dir)
    }

    /// Waits for a process to be gone; a child is also reaped.
    async fn ended(&mut self, index: usize, pid: u32, patience: Duration) -> Result<(), LocalError> {
        let began = Instant::now();
        loop {
            if let Some(child) = self.children.get_mut(&index)
                && matches!(child.try_wait(), Ok(Some(_)))
            {
                self.children.remove(&index);
            }
            if !process::is_alive(pid, &self.file.replicas[index].dir) {
                return Ok(());
            }
            if began.elapsed() > patience {
                return Err(LocalError::Unstoppable { index, pid });
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Replicas get absolute paths: the process id check looks for them in command lines.
fn absolute(dir: &Path) -> Result<PathBuf, LocalError> {
    std::path::absolute(dir).map_err(LocalError::file("use", dir))
}
