//! A test network on this machine: real processes of the `mains` binary on loopback, one per replica.
//!
//! Knows directories, ports and process ids, nothing about consensus. Every failure is one line that says what to do;
//! every wait is for a predicate, with a deadline. Spec: `specs/architecture.md`.

mod chaos;
mod error;
mod files;
mod links;
mod ports;
mod process;
mod status;
mod testnet;

pub use chaos::{ChaosError, ChaosOptions, ChaosReport, chaos};
pub use error::LocalError;
pub use files::{ReplicaFile, TestnetFile};
pub use links::{Links, in_own_network};
pub use mains_operator::RequiredSignature;
pub use process::{end_with_parent, own_session};
pub use status::ReplicaStatus;
pub use testnet::{Options, Testnet};

/// API port of the first replica unless another is asked for; the others follow.
pub const DEFAULT_API_PORT: u16 = 4950;
/// Replicas unless another number is asked for: the fewest that tolerate one that fails in any way.
pub const DEFAULT_NODES: usize = 4;
