//! A replica's front door: the Internet Computer's HTTP interface, Mains' JSON, health, metrics, the status page,
//! and the pages of canisters.
//!
//! Turns bytes into proven values (`Envelope`, then `VerifiedCall`) and answers from certified views. Decides nothing
//! about state and trusts no client: bodies are capped in bytes, in time and in total, waiting is bounded, and every
//! failure is one line of the table in `failure`. axum types never leave this room. Spec: `specs/interface.md`.

mod admission;
mod body;
mod config;
mod connections;
mod failure;
mod health;
mod history;
mod ic;
mod json;
mod listener;
mod metrics;
mod page;
mod reply;
mod server;
mod web;

pub use config::{Config, Sibling};
pub use server::{Error, serve};
