//! What can go wrong with a test network, each in one line that says what to do.

use mains_operator::OperatorError;
use std::{io, path::PathBuf};

/// Why a test network cannot be made, started or reached.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// A file or directory cannot be used.
    #[error("cannot {action} {}: {source}. Choose a directory that you may write to with --dir", path.display())]
    File {
        /// What was tried, for example `create`.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Replicas cannot have a network of their own.
    #[error("this machine does not let replicas have cables of their own: `{what}` says: {reason}")]
    NoNamespaces {
        /// The command.
        what: String,
        /// Its words.
        reason: String,
    },
    /// Something else is in the directory.
    #[error("{} is not empty and holds no test network: remove it, or choose another directory with --dir", path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// An earlier test network is in the directory.
    #[error("{} holds an earlier test network: continue it with `mains testnet up --dir {}`, remove it, or choose another directory with --dir", path.display(), path.display())]
    Leftover {
        /// The directory.
        path: PathBuf,
    },
    /// It runs already.
    #[error("the test network in {} is running already: stop it with `mains testnet stop --dir {}`", path.display(), path.display())]
    Running {
        /// The directory.
        path: PathBuf,
    },
    /// There is no test network.
    #[error("there is no test network in {}: start one with `mains testnet up`", path.display())]
    Missing {
        /// The directory.
        path: PathBuf,
    },
    /// The test network in the directory is not what was asked for.
    #[error("the test network in {} has {what}: leave the option away, or choose another directory with --dir", path.display())]
    Different {
        /// The directory.
        path: PathBuf,
        /// What it has, for example `4 nodes`.
        what: String,
    },
    /// The state file is damaged.
    #[error("{} is damaged ({reason}): remove the directory and start again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A port is taken.
    #[error(
        "port {port} is in use: choose another range with --port, or stop what uses it (an earlier test network: `mains testnet stop`)"
    )]
    PortInUse {
        /// The port.
        port: u16,
    },
    /// The range of ports does not fit.
    #[error("there are no {nodes} free ports from {port} on: choose another range with --port")]
    NoPorts {
        /// Where the search began.
        port: u16,
        /// How many were needed.
        nodes: usize,
    },
    /// A number of replicas that makes no network.
    #[error("a test network has 1 to 40 nodes, not {nodes}: choose with --nodes")]
    NodesCount {
        /// The number asked for.
        nodes: usize,
    },
    /// No such replica.
    #[error("there is no replica {index}: this test network has replicas 0 to {last}")]
    NoSuchReplica {
        /// The number asked for.
        index: usize,
        /// The last one's number.
        last: usize,
    },
    /// The binary does not start.
    #[error("cannot start {}: {source}", binary.display())]
    Spawn {
        /// The binary.
        binary: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A replica ended by itself.
    #[error("replica {index} stopped: {last_words} (log: {})", log.display())]
    Died {
        /// Which one.
        index: usize,
        /// The last line of its log.
        last_words: String,
        /// Its log.
        log: PathBuf,
    },
    /// Something did not happen in time.
    #[error("{what} did not happen within {seconds} s: see the logs in {}", logs.display())]
    TooLate {
        /// What was waited for.
        what: String,
        /// How long.
        seconds: u64,
        /// Where the logs are.
        logs: PathBuf,
    },
    /// A process does not end.
    #[error("process {pid} of replica {index} does not end: end it with `kill -9 {pid}`")]
    Unstoppable {
        /// Which one.
        index: usize,
        /// Its process.
        pid: u32,
    },
    /// The node's own files could not be made.
    #[error(transparent)]
    Operator(#[from] OperatorError),
}

impl LocalError {
    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
}
