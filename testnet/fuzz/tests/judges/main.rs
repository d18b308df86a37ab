//! What judges the replica with inputs nobody wrote. One binary, because each of them links the Wasm engine.

mod arguments;
mod certificates;
mod differential;
mod envelopes;
mod modules;
mod operators;
mod pages;
