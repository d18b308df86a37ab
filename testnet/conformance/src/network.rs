//! A test network of four processes that goes away with its value, and what must hold for it after every test.

use crate::answer::Answer;
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use mains_client::{Client, identity, identity::Identity};
use mains_local::{LocalError, Options, Testnet};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Replicas: the fewest that tolerate one that fails in any way.
pub const REPLICAS: usize = 4;
/// How long replicas may take to agree on a height that one of them has certified.
const AGREEMENT: Duration = Duration::from_secs(30);
/// Distance between two ranges of ports that are tried: API ports and, above them, those among replicas.
const PORT_STEP: u16 = 200;
/// Ranges tried before giving up.
const PORT_TRIES: u16 = 10;
/// Heights compared at a time.
const HEIGHTS: usize = 60;
/// Lines of each replica's log that a failed test shows.
const LOG_LINES: usize = 15;

/// A running test network. Dropping it ends its processes.
pub struct Network {
    testnet: Testnet,
    directory: TempDir,
    http: reqwest::Client,
    root_key: Vec<u8>,
}

/// What is compared of a replica's report.
#[derive(Deserialize)]
struct Report {
    certified_height: u64,
    healthy: bool,
    reason: Option<String>,
}

#[derive(Deserialize)]
struct Height {
    height: u64,
    state_root: String,
}

/// A height that all replicas certified, and its state root in hex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// The height.
    pub height: u64,
    /// The root.
    pub root: String,
}

impl Network {
    /// Starts four replicas of `program` and waits until they serve clients. API ports are looked for from `first_port` on.
    ///
    /// # Errors
    /// No free ports, a replica ended, or they found no agreement in time.
    pub async fn start(program: &str, first_port: u16) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let testnet = create(&directory.path().join("testnet"), Path::new(program), first_port)?;
        let http = reqwest::Client::builder().no_proxy().tcp_nodelay(true).build()?;
        let mut network = Self { testnet, directory, http, root_key: Vec::new() };
        network.testnet.start_all()?;
        network.testnet.ready().await?;
        let client = Client::connect(network.url(0), identity::anonymous()).await?;
        network.root_key = client.root_key().to_vec();
        Ok(network)
    }

    /// URL of a replica.
    pub fn url(&self, replica: usize) -> &str {
        &self.testnet.replicas()[replica].api
    }

    /// The root key, DER.
    pub fn root_key(&self) -> &[u8] {
        &self.root_key
    }

    /// The network's directory.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A replica's directory.
    pub fn node_dir(&self, replica: usize) -> &Path {
        &self.testnet.replicas()[replica].dir
    }

    /// A replica's log.
    pub fn log(&self, replica: usize) -> std::path::PathBuf {
        self.testnet.replicas()[replica].log()
    }

    /// A replica's process, if it runs.
    pub fn pid(&self, replica: usize) -> Option<u32> {
        self.testnet.pid(replica)
    }

    /// Starts a replica and waits for nothing.
    ///
    /// # Errors
    /// Its process cannot be started.
    pub fn begin(&mut self, replica: usize) -> Result<()> {
        Ok(self.testnet.start(replica)?)
    }

    /// What a replica says at an endpoint of text.
    ///
    /// # Errors
    /// There was no answer.
    pub async fn text(&self, replica: usize, path: &str) -> Result<String> {
        let response = self.http.get(format!("{}{path}", self.url(replica))).send().await?;
        Ok(response.error_for_status()?.text().await?)
    }

    /// A client of a replica, as the pre-funded anonymous principal.
    ///
    /// # Errors
    /// The HTTP client cannot be made.
    pub fn client(&self, replica: usize) -> Result<Client> {
        self.client_as(replica, identity::anonymous())
    }

    /// A client of a replica.
    ///
    /// # Errors
    /// The HTTP client cannot be made.
    pub fn client_as(&self, replica: usize, identity: Arc<dyn Identity>) -> Result<Client> {
        Ok(Client::trusting(self.url(replica), identity, &self.root_key)?)
    }

    /// Posts bytes to a replica.
    ///
    /// # Errors
    /// There was no answer.
    pub async fn post(&self, replica: usize, path: &str, body: Vec<u8>) -> Result<Answer> {
        let request = self.http.post(format!("{}{path}", self.url(replica)));
        let response = request.header("content-type", "application/cbor").body(body).send().await?;
        Ok(Answer { status: response.status().as_u16(), body: response.bytes().await?.to_vec() })
    }

    /// What a replica says at a JSON endpoint.
    ///
    /// # Errors
    /// There was no answer, or none of this form.
    pub async fn json<T: for<'de> Deserialize<'de>>(&self, replica: usize, path: &str) -> Result<T> {
        let response = self.http.get(format!("{}{path}", self.url(replica))).send().await?;
        let (status, body) = (response.status(), response.bytes().await?);
        ensure!(status.is_success(), "HTTP {status} at {path}: {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).with_context(|| format!("{path}: {}", String::from_utf8_lossy(&body)))
    }

    /// Ends a replica as a power cut would.
    ///
    /// # Errors
    /// The process does not go away.
    pub async fn kill(&mut self, replica: usize) -> Result<()> {
        Ok(self.testnet.kill(replica).await?)
    }

    /// Ends all replicas at the same moment, as a power cut of the whole rack would.
    ///
    /// # Errors
    /// A process does not go away.
    pub async fn kill_all(&mut self) -> Result<()> {
        self.kill_processes();
        for replica in 0..REPLICAS {
            self.testnet.kill(replica).await?;
        }
        Ok(())
    }

    /// Starts the replicas that do not run, and waits until all serve clients.
    ///
    /// # Errors
    /// A replica ended, or they found no agreement in time.
    pub async fn restart(&mut self) -> Result<()> {
        self.testnet.start_all()?;
        self.testnet.ready().await?;
        Ok(())
    }

    /// Sees that all replicas live, serve clients, and certified the same root for every height that they have in common;
    /// waits until that includes what the first of them has certified by now. Answers the newest such height.
    ///
    /// # Errors
    /// Two roots for a height; a replica that is dead, unhealthy or silent; nothing in common in time.
    pub async fn agree(&self) -> Result<Agreed> {
        let mut newest = 0;
        for replica in 0..REPLICAS {
            newest = newest.max(self.certified_height(replica).await?);
        }
        self.agree_from(newest).await
    }

    /// As [`Network::agree`], at this height or above.
    ///
    /// # Errors
    /// As [`Network::agree`].
    pub async fn agree_from(&self, least: u64) -> Result<Agreed> {
        let began = Instant::now();
        loop {
            match self.compare(least).await {
                Ok(Some(agreed)) => return Ok(agreed),
                Ok(None) if began.elapsed() < AGREEMENT => {}
                Ok(None) => bail!("no common certified height from {least} on within {} s", AGREEMENT.as_secs()),
                Err(error) => return Err(error),
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// The newest height that a replica serves as certified.
    ///
    /// # Errors
    /// It is dead, silent or not healthy.
    pub async fn certified_height(&self, replica: usize) -> Result<u64> {
        Ok(self.report(replica).await?.certified_height)
    }

    async fn report(&self, replica: usize) -> Result<Report> {
        let answer = self.json::<Report>(replica, "/api/mains/v1/status").await;
        let report = answer.with_context(|| match self.testnet.pid(replica) {
            Some(_) => format!("replica {replica} is silent"),
            None => format!("replica {replica} is dead"),
        })?;
        ensure!(report.healthy, "replica {replica} is not healthy: {}", report.reason.unwrap_or_default());
        Ok(report)
    }

    /// The newest height that all have in common, if that is not below `least`.
    async fn compare(&self, least: u64) -> Result<Option<Agreed>> {
        let mut first: BTreeMap<u64, String> = BTreeMap::new();
        let mut common: Option<HashSet<u64>> = None;
        for replica in 0..REPLICAS {
            self.report(replica).await?;
            let heights: Vec<Height> = self.json(replica, &format!("/api/mains/v1/blocks?count={HEIGHTS}")).await?;
            for Height { height, state_root } in &heights {
                let known = first.entry(*height).or_insert_with(|| state_root.clone());
                ensure!(
                    known == state_root,
                    "replica {replica} has another root at height {height}: {state_root}, not {known}"
                );
            }
            let seen: HashSet<u64> = heights.iter().map(|height| height.height).collect();
            common = Some(common.map_or(seen.clone(), |common| &common & &seen));
        }
        let newest = common.unwrap_or_default().into_iter().max().filter(|newest| *newest >= least);
        Ok(newest.and_then(|height| Some(Agreed { height, root: first.remove(&height)? })))
    }

    /// Signals all processes before waiting for any.
    fn kill_processes(&self) {
        for replica in 0..self.testnet.replicas().len() {
            let pid = self.testnet.pid(replica).and_then(|pid| rustix::process::Pid::from_raw(pid as i32));
            if let Some(pid) = pid {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }

    /// The last lines of every replica's log, for whoever reads a failed test.
    pub fn logs(&self) -> String {
        let mut text = String::new();
        for (index, replica) in self.testnet.replicas().iter().enumerate() {
            let log = std::fs::read(replica.log()).unwrap_or_default();
            let log = String::from_utf8_lossy(&log);
            let lines: Vec<&str> = log.lines().collect();
            text += &format!("--- replica {index}\n{}\n", lines[lines.len().saturating_sub(LOG_LINES)..].join("\n"));
        }
        text
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.logs());
        }
        self.kill_processes();
    }
}

/// Makes the network's files on the first range of ports that is free.
fn create(dir: &Path, program: &Path, first_port: u16) -> Result<Testnet> {
    for attempt in 0..PORT_TRIES {
        let made = Testnet::create(&Options {
            dir: dir.to_owned(),
            binary: program.to_owned(),
            nodes: Some(REPLICAS),
            api_port: Some(first_port + attempt * PORT_STEP),
            require_publisher_signature: None,
            links: None,
        });
        match made {
            Err(LocalError::PortInUse { .. } | LocalError::NoPorts { .. }) => {}
            made => return Ok(made?),
        }
    }
    Err(anyhow!("no free ports from {first_port} on"))
}
