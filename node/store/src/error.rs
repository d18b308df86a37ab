//! What can go wrong with a replica's files: one line each, what is wrong and then what to do.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
};

/// Why files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refuses; what was there before is still there.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What was tried, e.g. `write`.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The directory cannot be written to.
    #[error("{} cannot be written to ({source}): give this user the right to, or name another directory", path.display())]
    NotWritable {
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Another process uses the directory.
    #[error("{} is in use by process {holder}: stop that one first, or name another directory", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The other process's id, as far as it is known.
        holder: String,
    },
    /// There are files, but not ours.
    #[error("{} holds files that are not a node's data ({found}): name an empty or new directory", path.display())]
    NotOurs {
        /// The directory.
        path: PathBuf,
        /// One of these files.
        found: String,
    },
    /// Another release's format.
    #[error(
        "{} has data format {found}, this release reads {expected}: run the release that wrote it, or move the directory away to fetch everything again",
        path.display()
    )]
    OtherVersion {
        /// The directory or file.
        path: PathBuf,
        /// Its format.
        found: String,
        /// What this release reads.
        expected: u32,
    },
    /// The data belong to another network.
    #[error(
        "{} belongs to another network (genesis {found}, this node's is {expected}): use that network's genesis file, or another directory",
        path.display()
    )]
    OtherGenesis {
        /// The directory.
        path: PathBuf,
        /// The genesis file's digest that the data were made with, hex.
        found: String,
        /// The digest of this node's genesis file, hex.
        expected: String,
    },
    /// The data belong to another node: running on them could sign a second vote in its name.
    #[error(
        "{} belongs to the node with key {found}, not to {expected}: put that node's key back, or use another directory",
        path.display()
    )]
    OtherNode {
        /// The directory.
        path: PathBuf,
        /// The public key that the data were made with, hex.
        found: String,
        /// This node's public key, hex.
        expected: String,
    },
    /// There is nothing to back up yet.
    #[error("{} holds no checkpoint with a certificate yet: a node writes one every 1,000 heights; try again later", path.display())]
    NoCheckpoint {
        /// The directory.
        path: PathBuf,
    },
    /// A checkpoint cannot be read whole.
    #[error(
        "the checkpoint of height {height} cannot be read ({what}): back up another node, or wait for the next checkpoint"
    )]
    DamagedCheckpoint {
        /// Which.
        height: u64,
        /// What is wrong with it.
        what: String,
    },
    /// A backup is not what was written.
    #[error("{}: {what}: use another backup", path.display())]
    DamagedBackup {
        /// The file.
        path: PathBuf,
        /// Which part of it.
        what: String,
    },
    /// The database refuses.
    #[error("history {}: {source}", path.display())]
    History {
        /// The database file.
        path: PathBuf,
        /// Why not.
        source: rusqlite::Error,
    },
    /// A row of the database is not what was written.
    #[error("history {}: height {height} is damaged; remove the file to have it rebuilt", path.display())]
    HistoryDamaged {
        /// The database file.
        path: PathBuf,
        /// Which height.
        height: u64,
    },
}

impl StoreError {
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { action, path, source }
    }

    /// Whether the same may succeed later: the disk was full or failed.
    pub fn may_pass(&self) -> bool {
        use rusqlite::ErrorCode::{CannotOpen, DiskFull, SystemIoFailure};
        match self {
            Self::History { source, .. } => {
                matches!(source.sqlite_error_code(), Some(CannotOpen | DiskFull | SystemIoFailure))
            }
            Self::File { source, .. } => {
                matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
            }
            _ => false,
        }
    }

    pub(crate) fn history(path: &Path) -> impl FnOnce(rusqlite::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::History { path, source }
    }
}
