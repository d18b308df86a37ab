//! A node's journal as its operator handles it: rebuilt after a loss, read while the node runs or not.
//!
//! The journal is derived from blocks (`node/store/src/history.rs`), so it may be thrown away: the node replays the blocks it
//! keeps, from its oldest checkpoint on. Spec: `specs/operation.md`.

use crate::{doctor, error::OperatorError, files::NodeDir};
use mains_state::CheckpointStore as _;
use mains_store::{FileCheckpoints, History};
use mains_types::Height;
use std::path::{Path, PathBuf};

pub use mains_store::{BlockRow, HistoryReader, Movement};

/// Says to the next start that the journal is to be filled again.
const MARKER: &str = "journal.rebuild";

/// Sets the journal aside and has the next start of the node fill a new one. Returns the height from which on it will be
/// complete: that of the oldest checkpoint, or 0.
///
/// # Errors
/// The node runs; its files cannot be used.
pub fn rebuild(root: &Path) -> Result<Height, OperatorError> {
    let dir = NodeDir::new(root);
    if doctor::running(&dir).is_some() {
        return Err(OperatorError::Running { path: root.to_owned() });
    }
    let checkpoints = FileCheckpoints::open(data(&dir).join("checkpoints"))?;
    let manifests =
        checkpoints.manifests().map_err(|failure| OperatorError::Network(format!("the checkpoints: {failure}")))?;
    History::set_aside(&file(&dir))?;
    let marker = data(&dir).join(MARKER);
    std::fs::write(&marker, b"").map_err(|source| OperatorError::file("write", &marker, source))?;
    Ok(manifests.last().map_or(Height::ZERO, |oldest| oldest.height))
}

/// Opens the journal of a node, which may be running.
///
/// # Errors
/// There is none, or it cannot be read.
pub fn open(root: &Path) -> Result<HistoryReader, OperatorError> {
    Ok(HistoryReader::open(&file(&NodeDir::new(root)))?)
}

/// Whether a start was asked to fill the journal again.
#[cfg(not(test))]
pub(crate) struct Rebuilding {
    marker: PathBuf,
    asked: bool,
}

#[cfg(not(test))]
impl Rebuilding {
    pub(crate) fn of(dir: &NodeDir) -> Self {
        let marker = data(dir).join(MARKER);
        Self { asked: marker.exists(), marker }
    }

    pub(crate) fn is_asked_for(&self) -> bool {
        self.asked
    }

    /// Blocks are being replayed: what is missed should the node be killed meanwhile is filled by [`rebuild`] again.
    pub(crate) fn begun(self) {
        if self.asked
            && let Err(error) = std::fs::remove_file(&self.marker)
        {
            tracing::warn!(%error, "the next start will fill the journal again");
        }
    }
}

fn data(dir: &NodeDir) -> PathBuf {
    dir.root().join("data")
}

fn file(dir: &NodeDir) -> PathBuf {
    data(dir).join("history.sqlite")
}
