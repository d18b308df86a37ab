//! A Rust client for Mains: ic-agent for identities, signing and queries, plus what the stock agents do not show:
//! the certificate of every outcome, its height, its cost, bills, and proofs that can be checked offline.
//!
//! Believes nothing that it has not verified with the root key, except where a type says so ([`report`] is what one
//! node says). Spec: `specs/interface.md`.

pub mod bill;
pub mod certificate;
pub mod client;
pub mod error;
mod fresh;
pub mod identity;
pub mod income;
pub mod management;
pub mod outcome;
pub mod proof;
pub mod report;
#[cfg(test)]
mod testing;
pub mod utility;
pub mod wallet;

pub use certificate::{Certificate, CertificateError};
pub use client::Client;
pub use error::ClientError;
pub use outcome::{Outcome, Rejection};
pub use proof::{Proof, ProofError, Proven};
