//! The canisters that simulated clients call. All have `inc : () -> (nat...)` that answers the new value.

use crate::options::Workload;

/// A counter of 64 bits in hand-written Wasm. `inc` adds one and replies with the value as eight bytes; `boom` adds a
/// thousand, writes to another page and traps; `give` sends cycles to `take` of the canister in its argument, which keeps
/// half of them, and replies when the rest came back.
const TINY: &str = r#"(module
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_arg_data_size" (func $size (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $copy (param i32 i32 i32)))
  (import "ic0" "call_new" (func $new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_cycles_add128" (func $add (param i64 i64)))
  (import "ic0" "call_perform" (func $perform (result i32)))
  (import "ic0" "msg_cycles_accept128" (func $accept (param i64 i64 i32)))
  (import "ic0" "msg_cycles_refunded128" (func $refunded (param i32)))
  (memory 2)
  (table 1 funcref)
  (elem (i32.const 0) $back)
  (data (i32.const 64) "take")
  (func $back (param i32)
    (call $refunded (i32.const 300))
    (call $append (i32.const 300) (i32.const 8))
    (call $reply))
  (func (export "canister_update inc")
    (i64.store (i32.const 0) (i64.add (i64.load (i32.const 0)) (i64.const 1)))
    (call $append (i32.const 0) (i32.const 8))
    (call $reply))
  (func (export "canister_update boom")
    (i64.store (i32.const 0) (i64.add (i64.load (i32.const 0)) (i64.const 1000)))
    (i64.store (i32.const 70000) (i64.const 1))
    (unreachable))
  (func (export "canister_update give")
    (call $copy (i32.const 100) (i32.const 0) (call $size))
    (call $new (i32.const 100) (call $size) (i32.const 64) (i32.const 4)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
    (call $add (i64.const 0) (i64.const 2000000))
    (drop (call $perform)))
  (func (export "canister_update take")
    (call $accept (i64.const 0) (i64.const 1000000) (i32.const 200))
    (call $reply)))"#;

/// Cycles that come back to `give`.
pub const REFUND: u64 = 1_000_000;

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
