//! The canisters that simulated clients call. All have `inc : () -> (nat…)` that answers the new value.

use crate::scenario::Workload;

/// A counter of 64 bits in hand-written Wasm: `inc` adds one and replies with the value as eight bytes.
const TINY: &str = r#"(module
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_reply" (func $reply))
  (memory 1)
  (func (export "canister_update inc")
    (i64.store (i32.const 0) (i64.add (i64.load (i32.const 0)) (i64.const 1)))
    (call $append (i32.const 0) (i32.const 8))
    (call $reply)))"#;

/// The module's bytes.
///
/// # Panics
/// If our own text form does not assemble.
pub fn module(workload: Workload) -> Vec<u8> {
    match workload {
        Workload::RustCounter => include_bytes!("../../../sdk/examples/prebuilt/counter-rust.wasm").to_vec(),
        Workload::MotokoCounter => include_bytes!("../../../sdk/examples/prebuilt/counter-motoko.wasm").to_vec(),
        Workload::TinyCounter => wat::parse_str(TINY).expect("assembles"),
    }
}

/// The argument of `inc`.
pub fn argument(workload: Workload) -> Vec<u8> {
    match workload {
        Workload::TinyCounter => Vec::new(),
        _ => candid::encode_args(()).expect("encodes"),
    }
}

/// The value in a reply of `inc`.
pub fn value(workload: Workload, reply: &[u8]) -> Option<u64> {
    match workload {
        Workload::TinyCounter => reply.try_into().ok().map(u64::from_le_bytes),
        _ => {
            let value = candid::decode_one::<candid::Nat>(reply).ok()?;
            u64::try_from(value.0).ok()
        }
    }
}
