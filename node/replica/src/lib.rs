//! One subnet's replica as one value: ingress pool, consensus, execution, certification, recovery.
//!
//! Generic over runtime, network, checkpoint store and engine, so that exactly this value runs in production and in the
//! simulator: no operating-system clock, socket or randomness is touched here. Spec: `specs/consensus.md`, `specs/state.md`.

pub mod handle;
pub mod pool;
pub mod threads;
pub mod view;

pub use handle::{Effective, Identity, PeerStatus, QueryReply, ReadStateError, ReplicaHandle, Status, SubmitError};
pub use pool::Pool;
pub use view::View;
