//! The words every room of Mains shares: ids, quantities, limits, reject codes.
//!
//! Plain values without behaviour that needs a clock, a socket or a disk. Spec: `specs/architecture.md`, `specs/limits.md`.

pub mod ids;
pub mod limits;
pub mod planted;
pub mod quantity;
pub mod reject;
pub mod version;

pub use ids::{CanisterId, NodeId, Principal, RequestId, SubnetId};
pub use quantity::{Cycles, Height, Instructions, UnixNanos};
pub use reject::{ErrorCode, Reject, RejectCode};
pub use version::Versions;

/// A 32-byte digest (SHA-256 where the Internet Computer fixes it, BLAKE3 elsewhere).
pub type Digest32 = [u8; 32];
