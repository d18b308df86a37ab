//! One node as a process: does it start, and if not, what are its last words.

use anyhow::{Result, bail, ensure};
use mains_operator::{Addresses, NodeDir, TestnetOptions};
use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// How long a node that cannot start may take to say so, and any node to end in order.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a node may take to start.
const START: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);

/// The files of a network of one node.
pub struct Solo {
    _directory: TempDir,
    dir: NodeDir,
    /// Port of its API.
    pub api_port: u16,
    /// Port for other nodes.
    pub p2p_port: u16,
}

/// How a process ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; `None` after a signal.
    pub code: Option<i32>,
    /// What it printed, line by line, empty ones left out.
    pub lines: Vec<String>,
}

impl Solo {
    /// Makes the files of a network of one node; ports are looked for from `first_port` on. Nothing runs yet.
    ///
    /// # Errors
    /// No free ports, or the files cannot be made.
    pub fn new(first_port: u16) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
        let ports: Vec<u16> = (first_port..first_port + 500).filter(is_free).take(2).collect();
        let [api_port, p2p_port] = ports[..] else { bail!("no free ports from {first_port} on") };
        let options = TestnetOptions {
            network: "solo".into(),
            nodes: 1,
            addresses: vec![Addresses {
                api: (Ipv4Addr::LOCALHOST, api_port).into(),
                p2p: (Ipv4Addr::LOCALHOST, p2p_port).into(),
            }],
            funded: Vec::new(),
            require_publisher_signature: Default::default(),
        };
        let made = mains_operator::create_testnet(directory.path(), &options)?;
        Ok(Self { dir: NodeDir::new(&made.nodes[0]), _directory: directory, api_port, p2p_port })
    }

    /// Where its files are.
    pub fn dir(&self) -> &NodeDir {
        &self.dir
    }

    /// Where the files that a running node makes are.
    pub fn data(&self) -> PathBuf {
        self.dir.root().join("data")
    }

    /// Starts the node and leaves it running.
    ///
    /// # Errors
    /// It ends instead, or does not serve clients in time.
    pub fn start(&self, program: &str) -> Result<Running> {
        let mut running = Running { child: spawn(Command::new(program), self.dir.root())? };
        let began = Instant::now();
        while !self.dir.run_file().exists() {
            if running.child.try_wait()?.is_some() {
                bail!("it ended: {:?}", ended(&mut running.child, self.dir.root())?);
            }
            ensure!(began.elapsed() < START, "it does not start");
            std::thread::sleep(LOOK);
        }
        Ok(running)
    }

    /// Runs the node once, so that its data directory is made, and ends it in order.
    ///
    /// # Errors
    /// It does not start, or does not end in order.
    pub fn run_once(&self, program: &str) -> Result<()> {
        let status = self.start(program)?.stop()?;
        ensure!(status.success(), "it should end in order, not with {status}: {:#?}", lines(self.dir.root())?);
        Ok(())
    }

    /// Runs a node that cannot start.
    ///
    /// # Errors
    /// It runs on.
    pub fn run_to_its_end(&self, command: Command) -> Result<Ended> {
        let mut running = Running { child: spawn(command, self.dir.root())? };
        let began = Instant::now();
        while running.child.try_wait()?.is_none() {
            ensure!(began.elapsed() < PATIENCE, "it runs on: {:?}", lines(self.dir.root())?);
            std::thread::sleep(LOOK);
        }
        ended(&mut running.child, self.dir.root())
    }

    /// Every file of the node with its content, except what a start may write: the lock and the log.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn files(&self) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.dir.root().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if !path.ends_with("data/LOCK") && !path.ends_with("log") {
                    files.insert(path.clone(), fs::read(&path)?);
                }
            }
        }
        Ok(files)
    }
}

/// A running node; dropping it ends it.
pub struct Running {
    child: Child,
}

impl Running {
    /// Asks the node to end, and waits until it has.
    ///
    /// # Errors
    /// It does not end.
    pub fn stop(mut self) -> Result<ExitStatus> {
        if let Some(pid) = rustix::process::Pid::from_raw(self.child.id() as i32) {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        }
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            ensure!(began.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(LOOK);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts `command` as a node on `dir`; it prints to a file beside `dir`.
fn spawn(mut command: Command, dir: &Path) -> Result<Child> {
    let log = fs::File::create(log(dir))?;
    let child = command
        .args(["node", "up", "--dir"])
        .arg(dir)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .env("RUST_BACKTRACE", "1")
        .spawn()?;
    Ok(child)
}

fn ended(child: &mut Child, dir: &Path) -> Result<Ended> {
    Ok(Ended { code: child.wait()?.code(), lines: lines(dir)? })
}

fn lines(dir: &Path) -> Result<Vec<String>> {
    let text = fs::read(log(dir))?;
    let text = String::from_utf8_lossy(&text);
    Ok(text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect())
}

fn log(dir: &Path) -> PathBuf {
    dir.with_extension("log")
}
