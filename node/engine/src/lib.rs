//! The Wasm host behind [`mains_execution::engine::Engine`]: validation, instrumentation, wasmtime, module cache, memory.
//!
//! A run here is a pure function of its arguments. Compiled modules and live instances are caches and nothing else: what the
//! host's pages, features or timing are like never shows. What an engine does differently from host to host is kept away
//! from canisters by the instrumentation (`instrument`): counting work, depth of calls, bits of NaNs. A failure of the
//! host itself (no memory, a trap that cannot be) panics; it must stop the replica and never become state.
//!
//! This is the one drawer of the workspace with unsafe code: memory mapping (`slot`), page tracking (`tracker`), the stack's
//! bounds (`stack`) and loading machine code that this node wrote (`modules::disk`). Spec: `specs/wasm.md`.

mod engine;
mod host;
mod imports;
mod instance;
mod instrument;
mod modules;
mod outcome;
mod parked;
mod pool;
mod slot;
mod stack;
mod tracker;
mod validate;
mod watchdog;

#[cfg(test)]
mod tests;

pub use engine::{EngineError, Target, WasmtimeEngine};
pub use instrument::PASS_VERSION;
pub use stack::{HOST_STACK_BYTES, on_big_stack};
pub use tracker::Tracking;
