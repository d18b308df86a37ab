//! Whole-state checkpoints as files: `checkpoint-<height>`, the two newest.
//!
//! A file is written beside its place, synced and renamed, so it is whole or absent. One that is damaged all the same
//! is renamed to `*.corrupt` and the next older one serves: more blocks are replayed, nothing is lost.

mod format;
#[cfg(test)]
mod tests;

use crate::{
    error::StoreError,
    files::{UNFINISHED, sync_directory, write_atomically},
};
use format::{Header, ReadError};
use mains_state::CheckpointStore;
use mains_types::{Digest32, Height};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
};

/// Checkpoints that are kept: the newest, and one to fall back to.
const KEPT: usize = 2;
/// Damaged files that are kept for whoever wants to look at them.
const CORRUPT_KEPT: usize = 2;

const PREFIX: &str = "checkpoint-";
const CORRUPT: &str = ".corrupt";

/// The checkpoints in a directory. One process at a time uses it: see [`crate::DataDir`].
#[derive(Debug)]
pub struct FileCheckpoints {
    directory: PathBuf,
    /// Held while files change.
    changing: Mutex<()>,
}

impl FileCheckpoints {
    /// Opens the directory, creates it if need be, removes what a crash left unfinished.
    ///
    /// # Errors
    /// [`StoreError::File`]; [`StoreError::OtherVersion`] if another release wrote a checkpoint: going on without it
    /// would mean to begin again.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let directory = directory.into();
        fs::create_dir_all(&directory).map_err(StoreError::file("create", &directory))?;
        for name in names(&directory)? {
            if name.ends_with(UNFINISHED) {
                let path = directory.join(name);
                fs::remove_file(&path).map_err(StoreError::file("remove", &path))?;
            }
        }
        let store = Self { directory, changing: Mutex::new(()) };
        for height in store.heights("")? {
            format::check_version(&store.path(height), height)?;
        }
        Ok(store)
    }

    /// Keeps a state durably and removes all but the newest two.
    ///
    /// # Errors
    /// [`StoreError::File`]: the older checkpoints are as they were.
    pub fn try_save(&self, height: Height, root: Digest32, state: &[u8]) -> Result<(), StoreError> {
        let _changing = self.changing.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let header = Header::of(height, root, state).encode();
        write_atomically(&self.path(height), &[&header, state])?;
        self.remove_all_but(KEPT, &self.heights("")?, "")
    }

    /// The newest intact checkpoint: height, root, encoded state. Damaged ones are renamed to `*.corrupt` on the way.
    ///
    /// # Errors
    /// [`StoreError::File`], [`StoreError::OtherVersion`]: then nothing was renamed on its account.
    pub fn try_load_newest(&self) -> Result<Option<(Height, Digest32, Vec<u8>)>, StoreError> {
        let _changing = self.changing.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        for height in self.heights("")? {
            let path = self.path(height);
            match format::read(&path, height) {
                Ok((header, state)) => return Ok(Some((height, header.root, state))),
                Err(ReadError::Refused(error)) => return Err(error),
                Err(ReadError::Damaged(reason)) => {
                    tracing::warn!(path = %path.display(), reason, "set a damaged checkpoint aside");
                    self.set_aside(height)?;
                }
            }
        }
        Ok(None)
    }

    /// Sets a checkpoint aside that is intact as a file but of no use, e.g. because it cannot be decoded; the next
    /// older one is then the newest.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn quarantine(&self, height: Height) -> Result<(), StoreError> {
        let _changing = self.changing.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        self.set_aside(height)
    }

    fn set_aside(&self, height: Height) -> Result<(), StoreError> {
        let path = self.path(height);
        let aside = self.directory.join(format!("{PREFIX}{height}{CORRUPT}"));
        fs::rename(&path, aside).map_err(StoreError::file("rename", &path))?;
        self.remove_all_but(CORRUPT_KEPT, &self.heights(CORRUPT)?, CORRUPT)?;
        sync_directory(&self.directory)
    }

    fn path(&self, height: Height) -> PathBuf {
        self.directory.join(format!("{PREFIX}{height}"))
    }

    /// Heights with a file that ends in `suffix`, newest first.
    fn heights(&self, suffix: &str) -> Result<Vec<Height>, StoreError> {
        let height = |name: String| {
            let digits = name.strip_prefix(PREFIX)?.strip_suffix(suffix)?;
            let height: u64 = digits.parse().ok()?;
            // Only the form that is written here: no sign, no leading zeroes.
            (height.to_string() == digits).then_some(Height(height))
        };
        let mut heights: Vec<Height> = names(&self.directory)?.into_iter().filter_map(height).collect();
        heights.sort_unstable_by(|a, b| b.cmp(a));
        Ok(heights)
    }

    fn remove_all_but(&self, count: usize, heights: &[Height], suffix: &str) -> Result<(), StoreError> {
        for height in heights.iter().skip(count) {
            let path = self.directory.join(format!("{PREFIX}{height}{suffix}"));
            fs::remove_file(&path).map_err(StoreError::file("remove", &path))?;
        }
        Ok(())
    }
}

impl CheckpointStore for FileCheckpoints {
    fn save(&self, height: Height, root: Digest32, state: &[u8]) {
        match self.try_save(height, root, state) {
            Ok(()) => tracing::debug!(%height, bytes = state.len(), "checkpoint saved"),
            // The chain is durable without it: a restart replays more.
            Err(error) => tracing::error!(%error, %height, "cannot save a checkpoint; a restart will take longer"),
        }
    }

    fn load_newest(&self) -> Option<(Height, Digest32, Vec<u8>)> {
        self.try_load_newest().unwrap_or_else(|error| {
            tracing::error!(%error, "cannot read checkpoints; the chain is replayed from its beginning");
            None
        })
    }
}

fn names(directory: &Path) -> Result<Vec<String>, StoreError> {
    let list = || -> std::io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(directory)? {
            // A name that is not UTF-8 is none of ours.
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    };
    list().map_err(StoreError::file("read", directory))
}
