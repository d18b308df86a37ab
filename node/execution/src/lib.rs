//! A finalized block -> the next state: induction, scheduler, ic0 semantics, management canister, system canisters.
//!
//! Pure and synchronous: no clock, no randomness, no threads, no I/O. Sees Wasm only through the [`engine::Engine`]
//! trait and money only through the ledger's verbs. Spec: `specs/execution.md`.

mod calls;
mod charges;
pub mod engine;
mod hooks;
pub mod management;
pub mod system_api;
pub mod system_canisters;
mod traps;
