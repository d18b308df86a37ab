//! One replica's checkpoints: memory that survives its crashes.

use mains_state::{CheckpointStore, Manifest, ObjectSource, StorageFailure, checkpoint::CHECKPOINTS_KEPT};
use mains_types::{Digest32, Height};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard},
};

/// Objects and manifests in memory.
#[derive(Default)]
pub struct MemoryCheckpoints(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    objects: BTreeMap<Digest32, Vec<u8>>,
    manifests: BTreeMap<Height, (Manifest, Option<Vec<u8>>)>,
    /// Bytes that were alive when that was last found out.
    live_bytes: usize,
    is_full: bool,
}

impl Kept {
    fn bytes(&self) -> usize {
        self.objects.values().map(Vec::len).sum()
    }
}

impl MemoryCheckpoints {
    /// Flips one bit of one of the objects, if there is one.
    pub fn flip_bit(&self, at: u64) {
        let mut kept = self.kept();
        let count = kept.objects.len() as u64;
        if let Some(bytes) =
            kept.objects.values_mut().nth((at % count.max(1)) as usize).filter(|bytes| !bytes.is_empty())
        {
            let at = at as usize % bytes.len();
            bytes[at] ^= 1;
        }
    }

    /// Takes nothing more, or does again.
    pub fn fill(&self, is_full: bool) {
        self.kept().is_full = is_full;
    }

    /// Forgets everything.
    pub fn empty(&self) {
        *self.kept() = Kept::default();
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().expect("no holder panics")
    }
}

impl ObjectSource for MemoryCheckpoints {
    fn object(&self, digest: &Digest32) -> Option<Vec<u8>> {
        self.kept().objects.get(digest).cloned()
    }
}

impl CheckpointStore for MemoryCheckpoints {
    fn holds(&self, digest: &Digest32) -> bool {
        self.kept().objects.contains_key(digest)
    }
    fn losses(&self) -> u64 {
        0
    }
    fn is_complete(&self) -> bool {
        true
    }
    fn restored(&self, _: u64) {}
    fn put(&self, digest: &Digest32, bytes: &[u8]) -> Result<(), StorageFailure> {
        if self.kept().is_full {
            return Err(StorageFailure::Full("drawn".into()));
        }
        self.kept().objects.insert(*digest, bytes.to_vec());
        Ok(())
    }
    fn commit(&self, manifest: Option<&Manifest>) -> Result<(), StorageFailure> {
        let mut kept = self.kept();
        if let Some(manifest) = manifest {
            kept.manifests.insert(manifest.height, (*manifest, None));
        }
        while kept.manifests.len() > CHECKPOINTS_KEPT {
            kept.manifests.pop_first();
        }
        Ok(())
    }
    fn manifests(&self) -> Result<Vec<Manifest>, StorageFailure> {
        Ok(self.kept().manifests.values().rev().map(|(manifest, _)| *manifest).collect())
    }
    fn quarantine(&self, height: Height) -> Result<(), StorageFailure> {
        self.kept().manifests.remove(&height);
        Ok(())
    }
    fn certify(&self, height: Height, certificate: &[u8]) -> Result<(), StorageFailure> {
        if let Some((_, place)) = self.kept().manifests.get_mut(&height) {
            *place = Some(certificate.to_vec());
        }
        Ok(())
    }
    fn certificate(&self, height: Height) -> Option<Vec<u8>> {
        self.kept().manifests.get(&height)?.1.clone()
    }
    fn wants_collection(&self) -> bool {
        let kept = self.kept();
        kept.bytes() > 2 * kept.live_bytes
    }
    fn collect(&self, live: &BTreeSet<Digest32>) -> Result<u64, StorageFailure> {
        let mut kept = self.kept();
        let before = kept.bytes();
        kept.objects.retain(|digest, _| live.contains(digest));
        kept.live_bytes = kept.bytes();
        Ok((before - kept.live_bytes) as u64)
    }
}
