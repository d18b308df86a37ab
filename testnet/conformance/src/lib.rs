//! What the tests of this room share: a running test network, requests by stock encoders and keys, hostile modules, and
//! the checks that must hold after whatever a test did.
//!
//! Tests talk to replicas as strangers do, over HTTP, and start them as operators do, as processes
//! (`src/bin/conformance-node.rs`). Nothing here reaches into a replica. Spec: `specs/interface.md`.
//!
//! | to find | look at |
//! |---|---|
//! | replicas: start, kill, agreement | [`network`] |
//! | named cases, and what must hold after each | [`suite`] |
//! | the conformance suite: cases run together, canisters that run scripts | [`cases`], [`world`], [`script`], [`module`] |
//! | signed requests, right and wrong | [`request`], [`malleate`] |
//! | what a gateway answered | [`answer`] |
//! | modules, harmless and hostile | [`modules`] |
//! | management calls | [`manage`] |
//! | a node as a program of this crate | [`node`] |
//! | one node process and its last words | [`process`] |

pub mod answer;
pub mod cases;
pub mod malleate;
pub mod manage;
pub mod module;
pub mod modules;
pub mod network;
pub mod node;
pub mod process;
pub mod request;
pub mod script;
pub mod shipped;
pub mod suite;
pub mod world;

pub use cases::Cases;
pub use network::Network;
pub use suite::Suite;
pub use world::World;

/// Runs a test's future on a runtime of its own.
///
/// The calling thread drives the future: replicas end with the thread that started them, so they must be started here and
/// not on a worker.
///
/// # Panics
/// If the system has no threads left.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(test)
}
