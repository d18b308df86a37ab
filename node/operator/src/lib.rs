//! The process: config, keys, genesis, telemetry, lifecycle. Holds the one production instantiation of the replica.
//!
//! Nothing here decides replicated results. Spec: `specs/architecture.md`.

pub mod backup;
pub mod config;
mod damage;
#[cfg(not(test))]
mod disk;
pub mod doctor;
pub mod error;
pub mod estimate;
pub mod files;
pub mod genesis;
#[cfg(not(test))]
mod history;
pub mod init;
pub mod journal;
mod keys;
// Instantiates the consensus engine, which takes minutes to compile: not a second time for unit tests.
#[cfg(not(test))]
pub mod node;
pub mod telemetry;

pub use backup::{BackupReport, RestoreOptions, backup, restore, verify_backup};
pub use config::{Config, NodeConfig};
pub use error::OperatorError;
pub use files::{NodeDir, RunFile};
pub use genesis::{Addresses, TestnetFiles, TestnetOptions, create_testnet, move_testnet};
pub use init::{InitOptions, Initialized, Member, init, invite};
pub use mains_state::RequiredSignature;
pub use mains_state::checkpoint::CHECKPOINT_INTERVAL;
#[cfg(not(test))]
pub use node::run;

// What ships holds no defect on purpose: a build with the feature fails here.
const _: () = assert!(!mains_types::planted::POSSIBLE, "the feature `planted` is for the simulator only");
