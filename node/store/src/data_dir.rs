//! The directory of one node: `data/` for what can be fetched again, `keys/` beside it for what cannot.
//!
//! `data/` says which format it has, which network and which node it belongs to, and is locked by the one process that
//! uses it. All of that is checked before anything else is opened.

#[cfg(test)]
mod tests;

use crate::{error::StoreError, files::write_atomically};
use mains_state::{StorageFailure, VersionMark};
use mains_types::{Digest32, version::FIRST_VERSION};
use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io::{ErrorKind, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// The format of `data/` as a whole, and what replaying its chain comes to: raised as well when the same blocks make another state.
pub const DATA_VERSION: u32 = 3;

const LOCK: &str = "LOCK";
const VERSION: &str = "VERSION";
/// The newest version of the protocol that the data were changed by.
const PROTOCOL: &str = "PROTOCOL";
const GENESIS: &str = "genesis.digest";
const NODE: &str = "node.public";
/// Where a chain goes that turned out to be damaged.
const CHAIN_ASIDE: &str = "chain.corrupt";
/// Stands in `data/` while the votes there are all that the key has signed.
const VOTES: &str = "votes.whole";
/// Stands in `keys/` from the first start on.
const USED: &str = "used";

/// A node's directory, locked until this value is dropped.
#[derive(Debug)]
pub struct DataDir {
    root: PathBuf,
    /// The lock lives as long as this file is open; the system gives it back if the process dies.
    _lock: File,
}

impl DataDir {
    /// Opens the directory at `root` for the node with this public key in the network with this genesis file; creates
    /// what is missing.
    ///
    /// # Errors
    /// [`StoreError::NotWritable`], [`StoreError::InUse`], [`StoreError::NotOurs`], [`StoreError::OtherVersion`],
    /// [`StoreError::OtherGenesis`], [`StoreError::OtherNode`], [`StoreError::File`]. Files that were there are
    /// untouched in all of these cases.
    pub fn open(root: &Path, genesis: &Digest32, node: &[u8; 32]) -> Result<Self, StoreError> {
        let data = root.join("data");
        create_private(&data)?;
        create_private(&root.join("keys"))?;
        let lock = lock(&data)?;
        check_version(&data)?;
        let expected = hex::encode(genesis);
        if let Some(found) = read_or_write(&data.join(GENESIS), &expected)? {
            return Err(StoreError::OtherGenesis { path: data, found, expected });
        }
        let expected = hex::encode(node);
        if let Some(found) = read_or_write(&data.join(NODE), &expected)? {
            return Err(StoreError::OtherNode { path: data, found, expected });
        }
        Ok(Self { root: root.to_owned(), _lock: lock })
    }

    /// Whether `data/` holds all votes that were signed with the key: at the first start, and as long as `data/` was neither
    /// lost nor put back from a copy since. At the first start this is noted down.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn holds_all_votes(&self) -> Result<bool, StoreError> {
        let used = self.keys().join(USED);
        let marker = self.votes_marker();
        if !used.exists() {
            marker.set()?;
            write_atomically(&used, &[b"\n"])?;
        }
        Ok(marker.0.exists())
    }

    /// The key was used with other data: from the next start on the node observes before it votes.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn forget_votes(&self) -> Result<(), StoreError> {
        write_atomically(&self.keys().join(USED), &[b"\n"])?;
        self.votes_marker().remove()?;
        crate::files::sync_directory(&self.data())
    }

    /// Moves the chain, votes included, out of the way; one that was set aside before goes. Returns where it is now.
    ///
    /// # Errors
    /// [`StoreError::File`]: then the chain is where it was, or it is done the next time.
    pub fn set_chain_aside(&self) -> Result<PathBuf, StoreError> {
        self.forget_votes()?;
        let (chain, aside) = (self.chain(), self.data().join(CHAIN_ASIDE));
        if chain.exists() {
            if aside.exists() {
                fs::remove_dir_all(&aside).map_err(StoreError::file("remove", &aside))?;
            }
            fs::rename(&chain, &aside).map_err(StoreError::file("rename", &chain))?;
            crate::files::sync_directory(&self.data())?;
        }
        Ok(aside)
    }

    /// What says that `data/` holds all votes. Whoever puts a copy of `data/` in its place removes it.
    pub fn votes_marker(&self) -> VotesMarker {
        VotesMarker(self.data().join(VOTES))
    }

    /// Which version of the protocol the data were changed by.
    pub fn protocol(&self) -> ProtocolFile {
        ProtocolFile(self.data().join(PROTOCOL))
    }

    /// Where everything lies that can be fetched again.
    pub fn data(&self) -> PathBuf {
        self.root.join("data")
    }
    /// Where keys lie.
    pub fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }
    /// Where the consensus engine keeps blocks and votes.
    pub fn chain(&self) -> PathBuf {
        self.data().join("chain")
    }
    /// Where checkpoints lie.
    pub fn checkpoints(&self) -> PathBuf {
        self.data().join("checkpoints")
    }
    /// Where compiled modules lie.
    pub fn modules(&self) -> PathBuf {
        self.data().join("modules")
    }
    /// Proofs against other members.
    pub fn evidence(&self) -> PathBuf {
        self.data().join("evidence")
    }
    /// The history database.
    pub fn history(&self) -> PathBuf {
        self.data().join("history.sqlite")
    }
}

/// Says, as long as it is there, that a data directory holds all votes that were signed with the node's key.
#[derive(Clone, Debug)]
pub struct VotesMarker(PathBuf);

impl VotesMarker {
    /// From now on it does.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn set(&self) -> Result<(), StoreError> {
        write_atomically(&self.0, &[b"\n"])
    }

    /// Whether it does.
    pub fn is_set(&self) -> bool {
        self.0.exists()
    }

    /// Where the marker stands.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// It may not: the node observes until it cannot contradict itself.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn remove(&self) -> Result<(), StoreError> {
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(StoreError::file("remove", &self.0)(error)),
            _ => Ok(()),
        }
    }
}

/// Says by which version of the protocol a data directory was changed last; not there before the first switch.
#[derive(Clone, Debug)]
pub struct ProtocolFile(PathBuf);

impl VersionMark for ProtocolFile {
    fn read(&self) -> Result<u32, StorageFailure> {
        let failed = |what: String| StorageFailure::Failed(format!("{}: {what}", self.0.display()));
        match fs::read_to_string(&self.0) {
            Ok(text) => text.trim().parse().map_err(|_| failed("no version of the protocol".into())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(FIRST_VERSION),
            Err(error) => Err(failed(error.to_string())),
        }
    }

    fn raise(&self, version: u32) -> Result<(), StorageFailure> {
        if self.read()? >= version {
            return Ok(());
        }
        write_atomically(&self.0, &[version.to_string().as_bytes(), b"\n"])
            .map_err(|error| StorageFailure::Failed(error.to_string()))
    }
}

/// Creates a directory that only this user may read.
fn create_private(path: &Path) -> Result<(), StoreError> {
    let created = DirBuilder::new().recursive(true).mode(0o700).create(path);
    created.map_err(|source| not_writable(path, source))
}

fn not_writable(path: &Path, source: std::io::Error) -> StoreError {
    match source.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            StoreError::NotWritable { path: path.to_owned(), source }
        }
        _ => StoreError::File { action: "create", path: path.to_owned(), source },
    }
}

/// Locks the directory without waiting. Writing the process id into the lock file also shows that it can be written.
fn lock(data: &Path) -> Result<File, StoreError> {
    let path = data.join(LOCK);
    let opened = File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
    let mut file = opened.map_err(|source| not_writable(data, source))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.take(20).read_to_string(&mut holder);
            let holder = Some(holder.trim()).filter(|text| !text.is_empty()).unwrap_or("unknown").to_owned();
            return Err(StoreError::InUse { path: data.to_owned(), holder });
        }
        Err(TryLockError::Error(source)) => return Err(StoreError::File { action: "lock", path, source }),
    }
    let mut write = || {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    write().map_err(|source| not_writable(data, source))?;
    Ok(file)
}

/// Writes VERSION into an empty directory, compares it in any other.
fn check_version(data: &Path) -> Result<(), StoreError> {
    let path = data.join(VERSION);
    let expected = DATA_VERSION.to_string();
    if !path.exists()
        && let Some(found) = stranger(data)?
    {
        return Err(StoreError::NotOurs { path: data.to_owned(), found });
    }
    match read_or_write(&path, &expected)? {
        None => Ok(()),
        Some(found) => Err(StoreError::OtherVersion { path: data.to_owned(), found, expected: DATA_VERSION }),
    }
}

/// A file that is not left over from a first start that was cut short.
fn stranger(data: &Path) -> Result<Option<String>, StoreError> {
    let entries = fs::read_dir(data).map_err(StoreError::file("read", data))?;
    for entry in entries {
        let name = entry.map_err(StoreError::file("read", data))?.file_name().to_string_lossy().into_owned();
        if name != LOCK && !name.ends_with(crate::files::UNFINISHED) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Writes `expected` to a file that is absent. Otherwise returns what the file says instead, shortened to a line.
fn read_or_write(path: &Path, expected: &str) -> Result<Option<String>, StoreError> {
    match fs::read(path) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let text = text.trim();
            Ok((text != expected).then(|| text.chars().take(80).filter(|char| !char.is_control()).collect()))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            write_atomically(path, &[expected.as_bytes(), b"\n"])?;
            Ok(None)
        }
        Err(source) => Err(StoreError::File { action: "read", path: path.to_owned(), source }),
    }
}
