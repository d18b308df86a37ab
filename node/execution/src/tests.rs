//! The core against a host that interprets small scripts instead of Wasm.

mod abuse;
mod calls;
mod host;
mod installing;
mod lane;
mod low_memory;
mod money;
mod network;
mod policy;
mod random;
mod reading;
mod rounds;
mod settlement;
mod slices;
mod storage;
mod turns;
mod waking;
