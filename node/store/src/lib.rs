//! Durable files of one replica beside the consensus engine's own: checkpoints, history, and the directory they live in.
//!
//! Nothing here decides anything. [`FileCheckpoints`] keeps states as objects, so that a restart replays only the
//! tail of the chain; [`History`] is derived from blocks and may be lost; [`DataDir`] makes sure that one process, with the
//! right key and for the right network, uses a directory. Spec: `specs/state.md`, `specs/ledger.md`.

mod backup;
mod checkpoints;
mod data_dir;
mod error;
mod evidence;
mod files;
mod history;

pub use backup::{Backup, BackupContent, write_backup};
pub use checkpoints::{CheckpointReader, FileCheckpoints};
pub use data_dir::{DATA_VERSION, DataDir, ProtocolFile, VotesMarker};
pub use error::StoreError;
pub use evidence::{read_evidence, write_evidence};
pub use history::{BlockRecord, BlockRow, History, HistoryReader, Movement};
