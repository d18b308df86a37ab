//! A finalized block -> the next state: induction, scheduler, ic0 semantics, management canister, system canisters.
//!
//! Pure and synchronous: no clock, no randomness, no threads, no I/O. Sees Wasm only through the [`engine::Engine`]
//! trait and money only through the ledger's verbs. Spec: `specs/execution.md`.
//!
//! [`execute`] is the only way a state changes; [`query()`], [`inspect()`] and [`read_state`] only look at one.

mod call_policy;
mod callbacks;
mod calls;
mod charges;
pub mod engine;
mod execute;
mod hooks;
mod induction;
mod inspect;
mod low_memory;
pub mod management;
mod pace;
mod query;
pub mod read_state;
mod rejects;
mod run;
mod scheduler;
mod settlement;
mod slices;
mod statement;
pub mod system_api;
mod system_calls;
pub mod system_canisters;
mod timers;
mod traps;
mod waking;

#[cfg(test)]
mod tests;

pub use execute::{Block, Call, Executed, execute};
pub use inspect::inspect;
pub use pace::{HEARTBEAT_NANOS, due_at};
pub use query::{QueryCall, query};
pub use statement::statement;
pub use system_canisters::utility::health;
