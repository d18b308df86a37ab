//! Whole-network simulation: the replica that ships, four times, in one thread on virtual time; every event follows
//! from a seed, so every failure can be replayed. Spec: `specs/simulation.md`.
//!
//! Holds the one simulated instantiation of the consensus engine.

pub mod canister;
pub mod checkpoints;
pub mod client;
pub mod network;
pub mod record;
pub mod run;
pub mod scenario;

pub use run::{Failure, Report, run};
pub use scenario::Scenario;
