//! What can go wrong around a replica, each in one line that says what to do.

use std::path::PathBuf;

/// Why a node cannot be set up, started, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// A file cannot be read or written.
    #[error("cannot {action} {}: {source}. Check that the path exists and that this user may use it", path.display())]
    File {
        /// What was tried, e.g. `read`.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// There is something in the way.
    #[error("{} is there already: remove it, or choose another directory with --dir", path.display())]
    Exists {
        /// What is there.
        path: PathBuf,
    },
    /// A node that belongs to no network yet.
    #[error("this node belongs to no network yet ({} is missing): give its public key to whoever makes the network (`mains testnet invite`), then `mains node init --dir {} --join INVITATION`", path.display(), path.parent().unwrap_or(path).display())]
    NoNetwork {
        /// The genesis file.
        path: PathBuf,
    },
    /// A config file is wrong.
    #[error("{}{}: {reason}", path.display(), line.map_or(String::new(), |line| format!(":{line}")))]
    Config {
        /// The file.
        path: PathBuf,
        /// The line, from 1, if it is known.
        line: Option<usize>,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// A chain is damaged that nobody else has.
    #[error("{} is damaged, and no other node has it: remove it and {} to go on from the newest checkpoint; what was certified after that is lost", path.display(), note.display())]
    OnlyCopy {
        /// The chain.
        path: PathBuf,
        /// The note that says so.
        note: PathBuf,
    },
    /// A key file can be read by others.
    #[error("{} may be used by others than its owner (mode {mode:o}): `chmod 600 {}`, and replace the key if somebody else was on this machine", path.display(), path.display())]
    KeyOpenToOthers {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A sealed key file and no passphrase.
    #[error("{} is sealed with a passphrase: name a file that holds it with `passphrase_file` in node.toml, set MAINS_PASSPHRASE, or start from a terminal", path.display())]
    NoPassphrase {
        /// The file.
        path: PathBuf,
    },
    /// A sealed key file and the wrong passphrase.
    #[error("{} is sealed with another passphrase, or damaged: try again, or restore it from a backup", path.display())]
    WrongPassphrase {
        /// The file.
        path: PathBuf,
    },
    /// A passphrase that protects nothing.
    #[error("the passphrase {0}")]
    Passphrase(&'static str),
    /// The terminal cannot be read.
    #[error("cannot ask for the passphrase: {0}. Set MAINS_PASSPHRASE, or name a file that holds it")]
    Terminal(String),
    /// An invitation is not for this node or damaged.
    #[error("{}: {reason}. Ask whoever made the network for the invitation of this node's key", path.display())]
    Invitation {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Nodes that make no network.
    #[error("{0}")]
    Members(String),
    /// A key file is wrong.
    #[error("{}: {reason}. Restore it from a backup: without its key a node cannot take part", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A backup is not what it should be.
    #[error("{}: {reason}", path.display())]
    Backup {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// Data that a backup would replace.
    #[error("{} holds data: they may be newer than the backup. Add --replace to move them aside", path.display())]
    DataInTheWay {
        /// The directory.
        path: PathBuf,
    },
    /// A key that would stand in a backup for everybody to read.
    #[error("{} is not sealed: make the keys with `mains node init --seal`, or keep a copy of them elsewhere and leave out --keys", path.display())]
    KeyNotSealed {
        /// The file.
        path: PathBuf,
    },
    /// A key that is neither here nor in the backup.
    #[error("{} is not there, and not in the backup: put it back from where you keep it", path.display())]
    KeyMissing {
        /// The file.
        path: PathBuf,
    },
    /// The genesis file is wrong.
    #[error("{}: {reason}. Ask the network's founders for the right file", path.display())]
    Genesis {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// This node's key is not in the genesis file.
    #[error("node {node} is no member of network {network}: its key and its genesis file do not belong together")]
    NotAMember {
        /// The node's id.
        node: String,
        /// The network's name.
        network: String,
    },
    /// The binary does not have the rules that the data need.
    #[error("{0}")]
    Outdated(String),
    /// The data directory refuses.
    #[error(transparent)]
    Store(#[from] mains_store::StoreError),
    /// Something that only a stopped node allows.
    #[error("the node in {} runs: stop it first", path.display())]
    Running {
        /// Its directory.
        path: PathBuf,
    },
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}. Stop what uses it, or set another address in {config}")]
    Listen {
        /// The address.
        address: String,
        /// The config file and key to change.
        config: &'static str,
        /// Why not.
        source: std::io::Error,
    },
    /// The network layer refuses.
    #[error("network: {0}")]
    Network(String),
    /// The process could not watch for signals.
    #[error("cannot watch for signals: {0}")]
    Signals(std::io::Error),
}

impl OperatorError {
    pub(crate) fn file(action: &'static str, path: &std::path::Path, source: std::io::Error) -> Self {
        Self::File { action, path: path.to_owned(), source }
    }
}
