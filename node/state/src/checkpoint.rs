//! Checkpoints: states kept as objects across restarts. The store is the host's (files), or the simulator's (memory).
//!
//! Saving puts what changed, then the manifest; reading goes from the newest manifest to older ones. Both are the same code over
//! every store. Spec: `specs/state.md`, "Checkpoints".

use crate::{EncodingError, Manifest, Memo, ObjectSink, ObjectSource, State};
use mains_types::{Digest32, Height};
use std::collections::BTreeSet;

/// Heights between two checkpoints on every network; a simulation takes fewer.
pub const CHECKPOINT_INTERVAL: u64 = 1_000;
/// Checkpoints that are kept: the newest, and one to fall back to.
pub const CHECKPOINTS_KEPT: usize = 2;

/// Why something could not be kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageFailure {
    /// There is no room.
    #[error("the disk is full: {0}")]
    Full(String),
    /// The storage does not work.
    #[error("the storage fails: {0}")]
    Failed(String),
}

/// Keeps objects and manifests across restarts. One at a time saves; anybody may read meanwhile.
pub trait CheckpointStore: ObjectSource + Send + Sync + 'static {
    /// Whether an object is kept.
    fn holds(&self, digest: &Digest32) -> bool;
    /// How often an object that was kept was found missing or damaged.
    fn losses(&self) -> u64;
    /// Whether all losses were made good: whatever is kept has all that it refers to beside it.
    fn is_complete(&self) -> bool;
    /// All objects of a state have been put since there were so many losses.
    fn restored(&self, losses: u64);
    /// Keeps an object, durably after the next [`CheckpointStore::commit`].
    ///
    /// # Errors
    /// See [`StorageFailure`]. What was put since the last commit may then be gone.
    fn put(&self, digest: &Digest32, bytes: &[u8]) -> Result<(), StorageFailure>;
    /// Makes durable what was put, then the manifest, and forgets all manifests but the newest [`CHECKPOINTS_KEPT`]. Without a
    /// manifest only what was put.
    ///
    /// # Errors
    /// See [`StorageFailure`]. The older checkpoints are as they were.
    fn commit(&self, manifest: Option<&Manifest>) -> Result<(), StorageFailure>;
    /// The manifests that are kept, newest first.
    ///
    /// # Errors
    /// They cannot be read at all: nobody knows whether there are any.
    fn manifests(&self) -> Result<Vec<Manifest>, StorageFailure>;
    /// Sets a manifest aside whose state cannot be restored.
    ///
    /// # Errors
    /// See [`StorageFailure`].
    fn quarantine(&self, height: Height) -> Result<(), StorageFailure>;
    /// Keeps the certificate of a state that is kept. Lost with its manifest.
    ///
    /// # Errors
    /// See [`StorageFailure`].
    fn certify(&self, height: Height, certificate: &[u8]) -> Result<(), StorageFailure>;
    /// What [`CheckpointStore::certify`] kept.
    fn certificate(&self, height: Height) -> Option<Vec<u8>>;
    /// Whether it is worth finding out which objects are still needed.
    fn wants_collection(&self) -> bool;
    /// Gives back room of objects that are not among `live`, in one bounded step. Returns the bytes given back.
    ///
    /// # Errors
    /// See [`StorageFailure`]. All live objects are kept.
    fn collect(&self, live: &BTreeSet<Digest32>) -> Result<u64, StorageFailure>;
}

/// What saving a state cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Saved {
    /// Names the state.
    pub manifest: Manifest,
    /// Objects that were not kept before.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Keeps a state durably: what changed of it, then its manifest. Then gives back room that nothing needs any more.
///
/// # Errors
/// See [`StorageFailure`]. The older checkpoints are as they were.
pub fn save(store: &dyn CheckpointStore, state: &State, memo: &mut Memo) -> Result<Saved, StorageFailure> {
    let (losses, is_complete) = (store.losses(), store.is_complete());
    let mut counter = Counter { store, is_complete, objects: 0, bytes: 0, failure: None };
    let manifest = state.write(memo, &mut counter);
    let Counter { objects, bytes, failure, .. } = counter;
    if let Some(failure) = failure {
        return Err(failure);
    }
    store.commit(Some(&manifest))?;
    store.restored(losses);
    if store.wants_collection() {
        collect(store)?;
    }
    Ok(Saved { manifest, objects, bytes })
}

/// Gives back room that no kept checkpoint needs. Nothing is given back while an object of one is missing.
fn collect(store: &dyn CheckpointStore) -> Result<u64, StorageFailure> {
    let mut live = BTreeSet::new();
    for manifest in store.manifests()? {
        if manifest.mark(store, &mut live).is_err() {
            return Ok(0);
        }
    }
    store.collect(&live)
}

/// The newest checkpoint that can be restored. Those that cannot are set aside; `damaged` hears of them.
///
/// # Errors
/// See [`StorageFailure`]: the storage itself does not answer.
pub fn newest(
    store: &dyn CheckpointStore,
    damaged: &mut dyn FnMut(Height, EncodingError),
) -> Result<Option<State>, StorageFailure> {
    for manifest in store.manifests()? {
        match State::read(&manifest, store) {
            Ok(state) => return Ok(Some(state)),
            Err(error) => {
                damaged(manifest.height, error);
                store.quarantine(manifest.height)?;
            }
        }
    }
    Ok(None)
}

/// The oldest checkpoint that is kept, if it can be restored: the blocks after it are kept as well.
///
/// # Errors
/// See [`StorageFailure`]: the storage itself does not answer.
pub fn oldest(store: &dyn CheckpointStore) -> Result<Option<State>, StorageFailure> {
    let manifests = store.manifests()?;
    Ok(manifests.last().and_then(|manifest| State::read(manifest, store).ok()))
}

/// Puts into a store until it fails.
struct Counter<'a> {
    store: &'a dyn CheckpointStore,
    /// As of the beginning, so that the whole state is walked or only what is new.
    is_complete: bool,
    objects: u64,
    bytes: u64,
    failure: Option<StorageFailure>,
}

impl ObjectSink for Counter<'_> {
    fn holds(&self, digest: &Digest32) -> bool {
        // After a failure there is no point in going on.
        self.failure.is_some() || self.store.holds(digest)
    }
    fn is_complete(&self) -> bool {
        self.is_complete
    }
    fn put(&mut self, digest: Digest32, bytes: &[u8]) {
        if self.failure.is_none() {
            self.failure = self.store.put(&digest, bytes).err();
            self.objects += 1;
            self.bytes += bytes.len() as u64;
        }
    }
}
