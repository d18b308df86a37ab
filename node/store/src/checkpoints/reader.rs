//! Checkpoints as somebody else sees them: nothing is changed, so the node may run.

use super::{Manifests, PACK_BYTES, Packs};
use crate::error::StoreError;
use mains_state::{Manifest, ObjectSource};
use mains_types::Digest32;
use std::{path::Path, sync::Mutex};

/// The checkpoints in a directory, to be read only.
#[derive(Debug)]
pub struct CheckpointReader {
    manifests: Manifests,
    packs: Mutex<Packs>,
}

impl CheckpointReader {
    /// Looks at a directory. What a running node does with it later is not seen: objects may then be missing.
    ///
    /// # Errors
    /// [`StoreError::File`], [`StoreError::OtherVersion`].
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let manifests = Manifests::new(directory.to_owned());
        if !directory.exists() {
            return Err(StoreError::NoCheckpoint { path: directory.to_owned() });
        }
        manifests.check_versions()?;
        let packs = Packs::open(directory.join("objects"), PACK_BYTES)?;
        Ok(Self { manifests, packs: Mutex::new(packs) })
    }

    /// The newest manifest whose certificate is there too.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn newest_certified(&self) -> Result<Option<(Manifest, Vec<u8>)>, StoreError> {
        let whole = self.manifests.whole()?;
        Ok(whole.into_iter().find_map(|manifest| Some((manifest, self.manifests.certificate(manifest.height)?))))
    }
}

impl ObjectSource for CheckpointReader {
    fn object(&self, digest: &Digest32) -> Option<Vec<u8>> {
        self.packs.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).get(digest)
    }
}
