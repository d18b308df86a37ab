//! What judges the replica with inputs nobody wrote. One binary, because each of them links the Wasm engine.

mod differential;
mod operators;
