//! The example canisters as they are shipped, each by somebody else's compiler.

use anyhow::{Context as _, Result};
use std::path::Path;

/// The module of this name in `sdk/examples/prebuilt`.
///
/// # Errors
/// The file is not there.
pub fn module(name: &str) -> Result<Vec<u8>> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk/examples/prebuilt");
    let path = examples.join(name).with_extension("wasm");
    std::fs::read(&path).with_context(|| format!("read {}", path.display()))
}

/// A shipped counter (interface: `sdk/examples/counter.did`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// By rustc and ic-cdk: 32 bit, carries its state through upgrades in stable memory.
    Rust,
    /// By moc: 64 bit, keeps its heap through upgrades.
    Motoko,
}

impl Counter {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Rust, Self::Motoko];

    /// Its name, which is that of its file in `sdk/examples/prebuilt`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rust => "counter-rust",
            Self::Motoko => "counter-motoko",
        }
    }

    /// Its module.
    ///
    /// # Errors
    /// The file is not there.
    pub fn module(self) -> Result<Vec<u8>> {
        module(self.name())
    }

    /// Whether an upgrade must keep the heap.
    pub fn keeps_heap(self) -> bool {
        self == Self::Motoko
    }
}
