//! Rewrites a valid module so that it counts its own work: our instrumentation pass.
//!
//! The count of instructions is replicated state, so it is defined by this rewriting and by nothing an engine does:
//! - **gas**: each straight-line segment is charged at its head, in a local that is written back to a global around calls;
//!   whether it is used up is checked at function entries and loop heads (which keep what is in float registers there, [`kept`]); bulk operations are
//!   charged by length; a load that others wait for ([`waits`]) costs more in a heap larger than the caches ([`cost`]);
//! - **stack**: each function charges what the *original* function may hold, because native frames differ between engines;
//! - **NaN bits** are canonicalised where arithmetic can make them and before anything can look at them ([`flows`]);
//! - mutable globals, memory, table and start function become exports with the prefix [`RESERVED`], all exports but the
//!   canister's entry points vanish, and active data segments are handed back apart and left empty.
//!
//! Everything of ours is appended, so indices stay as they were. The input must have passed [`crate::validate`].
//! A change in what comes out is a change of the protocol: raise [`PASS_VERSION`]. Spec: `specs/wasm.md`.

mod analysis;
mod body;
mod cost;
mod float;
mod flows;
mod helpers;
mod kept;
mod module;
#[cfg(test)]
mod tests;
mod waits;

pub(crate) use cost::far;
pub(crate) use module::instrument;

use std::ops::Range;
use wasm_encoder::reencode;

/// Names what this pass does to a module; part of every key under which its output is kept.
pub const PASS_VERSION: u32 = 5;

/// Prefix of the names of our own exports; modules may not use it.
pub(crate) const RESERVED: &str = "__mains_";
/// Export: instructions left.
pub(crate) const GAS: &str = "__mains_gas";
/// Export: the count of instructions left below which [`HOOK`] is called.
pub(crate) const MARK: &str = "__mains_mark";
/// Export: what a load costs that another waits for, beyond its weight.
pub(crate) const FAR: &str = "__mains_far";
/// Export: a table whose only entry is called when fewer instructions than [`MARK`] are left, without parameters or results.
pub(crate) const HOOK: &str = "__mains_hook";
/// Export: stack slots left.
pub(crate) const STACK: &str = "__mains_stack";
/// Export: the memory, if there is one.
pub(crate) const MEMORY: &str = "__mains_memory";
/// Export: the table, if there is one.
pub(crate) const TABLE: &str = "__mains_table";
/// Export: the start function, if there is one.
pub(crate) const START: &str = "__mains_start";

/// The export of mutable global number `index`.
pub(crate) fn global_export(index: u32) -> String {
    format!("{RESERVED}g{index}")
}

/// What the pass makes of a module.
#[derive(Debug)]
pub(crate) struct Instrumented {
    /// The rewritten module.
    pub(crate) wasm: Vec<u8>,
    /// The active data segments: where they go in memory and where in the original module their bytes are.
    pub(crate) data: Vec<(u64, Range<usize>)>,
    /// Indices of the mutable globals.
    pub(crate) globals: Vec<u32>,
}

/// The pass met something that validation should have refused.
#[derive(Debug, thiserror::Error)]
#[error("cannot be instrumented: {0}")]
pub(crate) struct Unexpected(String);

impl From<wasmparser::Error> for Unexpected {
    fn from(error: wasmparser::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<reencode::Error> for Unexpected {
    fn from(error: reencode::Error) -> Self {
        Self(error.to_string())
    }
}
