//! Whole-network simulation: the replica that ships, one to thirteen times, in one thread on virtual time; every event
//! follows from a seed, so every failure can be replayed. Spec: `specs/simulation.md`.
//!
//! Holds the one simulated instantiation of the consensus engine.

pub mod adversary;
pub mod batch;
pub mod canister;
pub mod checkpoints;
pub mod checks;
pub mod client;
pub mod dead_leader;
pub mod disk;
pub mod faults;
pub mod host;
pub mod log;
pub mod options;
pub mod planted;
pub mod record;
pub mod run;
pub mod shrink;
pub mod slow_disk;
pub mod subnet;
pub mod upgrade;
pub mod wire;
pub mod work;

pub use batch::{Batch, batch};
pub use options::{Fault, Options};
pub use run::{Failure, Report, command, play, run};
