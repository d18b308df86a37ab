//! The canister that this binary carries, so that `mains demo` needs no toolchain.

/// The counter: `sdk/examples/counter-rust`, built and recorded in `sdk/examples/prebuilt`.
pub(crate) const COUNTER: &[u8] = include_bytes!("../../examples/prebuilt/counter-rust.wasm");
