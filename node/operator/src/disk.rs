//! The disk under a running node: syncs that the runtime gave up, doubts about votes, and how much room is left.

use mains_replica::{Backing, ReplicaHandle, Room};
use mains_store::VotesMarker;
use std::{
    fs::File,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

/// How often the file system is asked how much is left.
const LOOK: Duration = Duration::from_secs(1);

/// The files in which the consensus engine keeps blocks and votes.
pub(crate) struct ChainFiles {
    directory: PathBuf,
    votes: VotesMarker,
    /// Whether the marker was there and was taken away.
    is_doubted: AtomicBool,
}

impl ChainFiles {
    pub(crate) fn new(directory: PathBuf, votes: VotesMarker) -> Self {
        Self { directory, votes, is_doubted: AtomicBool::new(false) }
    }
}

impl Backing for ChainFiles {
    fn sync(&self, partition: &str, name: &[u8]) -> io::Result<()> {
        // A file opened after the failure hears of every later one, and only of those.
        match File::options().write(true).open(self.directory.join(partition).join(hex::encode(name))) {
            Ok(file) => file.sync_all(),
            // Removed meanwhile: nothing depends on it any more.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn doubt(&self) {
        if !self.votes.is_set() {
            return;
        }
        match self.votes.remove() {
            Ok(()) => self.is_doubted.store(true, Ordering::Release),
            Err(error) => tracing::error!(
                %error,
                "a sync failed and this cannot be noted down: if the node ends now, remove {} before its next start",
                self.votes.path().display()
            ),
        }
    }

    fn trust(&self) {
        if self.is_doubted.swap(false, Ordering::AcqRel)
            && let Err(error) = self.votes.set()
        {
            tracing::error!(%error, "the node will observe before it votes after its next start");
        }
    }
}

/// Tells the replica again and again how much room is left where `directory` is.
pub(crate) async fn watch(directory: PathBuf, reserve_bytes: u64, replica: ReplicaHandle) {
    let mut ticks = tokio::time::interval(LOOK);
    loop {
        ticks.tick().await;
        if let Some(free_bytes) = free_bytes(&directory) {
            replica.has_room(Room { free_bytes, reserve_bytes });
        }
    }
}

/// Bytes that this user may still write where `directory` is.
fn free_bytes(directory: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(directory).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}
