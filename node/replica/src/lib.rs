//! One subnet's replica as one value: ingress pool, consensus, execution, certification, recovery.
//!
//! Generic over runtime, network, checkpoint store and engine, so that exactly this value runs in production and in the
//! simulator: no operating-system clock, socket or randomness is touched here. Spec: `specs/consensus.md`, `specs/state.md`.

mod certifier;
mod clocks;
pub mod disk;
pub mod executor;
mod finances;
pub mod handle;
pub mod patient;
pub mod pool;
mod proposer;
mod saver;
mod shares;
mod spread;
pub mod start;
pub mod sync;
pub mod threads;
pub mod view;

pub use disk::{DiskStatus, Room};
pub use executor::{BlockSummary, NoObserver, Observer};
pub use finances::{Finances, health};
pub use handle::{
    Effective, EvidenceStatus, Identity, PeerStatus, QueryReply, ReadStateError, ReplicaHandle, Status, SubmitError,
    Surroundings, SwitchStatus, SyncStatus,
};
pub use mains_state::checkpoint::CHECKPOINT_INTERVAL;
pub use patient::Backing;
pub use pool::{CALLS_MAX as POOL_CALLS_MAX, Pool};
pub use start::{Config, Network, Running, StartError, resume, start};
pub use sync::Continuity;
pub use threads::Waiting;
pub use view::View;
