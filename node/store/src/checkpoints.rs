//! Checkpoints as files: objects in packs, and a manifest for each of the two newest.
//!
//! A pack is synced before a manifest names what is in it, and a manifest is written beside its place, synced and renamed.
//! So a crash at any point leaves the checkpoints that were there. What is damaged all the same is found by its hash and set
//! aside as `*.corrupt`. Spec: `specs/state.md`, "Checkpoints".

mod manifests;
mod pack;
mod packs;
mod reader;
#[cfg(test)]
pub(crate) mod tests;

use crate::{
    error::StoreError,
    files::{UNFINISHED, names},
};
use mains_state::{CheckpointStore, Manifest, ObjectSource, StorageFailure, checkpoint::CHECKPOINTS_KEPT as KEPT};
use mains_types::{Digest32, Height};
use manifests::Manifests;
use packs::{PACK_BYTES, Packs};
pub use reader::CheckpointReader;
use std::{
    collections::BTreeSet,
    fs, io,
    path::PathBuf,
    sync::{Mutex, MutexGuard},
};

/// Damaged files of a kind that are kept for whoever wants to look at them.
const CORRUPT_KEPT: usize = 2;
const CORRUPT: &str = ".corrupt";

/// The checkpoints in a directory. One process at a time uses it: see [`crate::DataDir`].
#[derive(Debug)]
pub struct FileCheckpoints {
    manifests: Manifests,
    packs: Mutex<Packs>,
}

impl FileCheckpoints {
    /// Opens the directory, creates it if need be, removes what a crash left unfinished.
    ///
    /// # Errors
    /// [`StoreError::File`]; [`StoreError::OtherVersion`] if another release wrote a checkpoint: going on without it
    /// would mean to begin again.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, StoreError> {
        Self::open_with(directory.into(), PACK_BYTES)
    }

    fn open_with(directory: PathBuf, pack_bytes: u64) -> Result<Self, StoreError> {
        let objects = directory.join("objects");
        for directory in [&directory, &objects] {
            fs::create_dir_all(directory).map_err(StoreError::file("create", directory))?;
            for name in names(directory)?.into_iter().filter(|name| name.ends_with(UNFINISHED)) {
                let path = directory.join(name);
                fs::remove_file(&path).map_err(StoreError::file("remove", &path))?;
            }
        }
        let manifests = Manifests::new(directory);
        manifests.check_versions()?;
        Ok(Self { manifests, packs: Mutex::new(Packs::open(objects, pack_bytes)?) })
    }

    /// Bytes of all packs.
    pub fn bytes(&self) -> u64 {
        self.packs().bytes()
    }

    fn packs(&self) -> MutexGuard<'_, Packs> {
        self.packs.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl ObjectSource for FileCheckpoints {
    fn object(&self, digest: &Digest32) -> Option<Vec<u8>> {
        self.packs().get(digest)
    }
}

impl CheckpointStore for FileCheckpoints {
    fn holds(&self, digest: &Digest32) -> bool {
        self.packs().holds(digest)
    }

    fn losses(&self) -> u64 {
        self.packs().losses()
    }

    fn is_complete(&self) -> bool {
        self.packs().is_complete()
    }

    fn restored(&self, losses: u64) {
        self.packs().restored(losses);
    }

    fn put(&self, digest: &Digest32, bytes: &[u8]) -> Result<(), StorageFailure> {
        self.packs().put(digest, bytes).map_err(failure)
    }

    fn commit(&self, manifest: Option<&Manifest>) -> Result<(), StorageFailure> {
        self.packs().seal().map_err(failure)?;
        let Some(manifest) = manifest else { return Ok(()) };
        self.manifests.write(manifest).map_err(failure)?;
        self.manifests.remove_all_but(KEPT).map_err(failure)
    }

    fn manifests(&self) -> Result<Vec<Manifest>, StorageFailure> {
        self.manifests.read_all().map_err(failure)
    }

    fn quarantine(&self, height: Height) -> Result<(), StorageFailure> {
        self.manifests.set_aside(height).map_err(failure)
    }

    fn certify(&self, height: Height, certificate: &[u8]) -> Result<(), StorageFailure> {
        self.manifests.certify(height, certificate).map_err(failure)
    }

    fn certificate(&self, height: Height) -> Option<Vec<u8>> {
        self.manifests.certificate(height)
    }

    fn wants_collection(&self) -> bool {
        self.packs().wants_collection()
    }

    fn collect(&self, live: &BTreeSet<Digest32>) -> Result<u64, StorageFailure> {
        self.packs().collect(live).map_err(failure)
    }
}

fn failure(error: StoreError) -> StorageFailure {
    let is_full = matches!(
        &error,
        StoreError::File { source, .. }
            if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
    );
    if is_full { StorageFailure::Full(error.to_string()) } else { StorageFailure::Failed(error.to_string()) }
}
