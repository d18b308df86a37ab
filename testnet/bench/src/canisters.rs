//! The canisters that are measured.

/// The shipped Rust counter.
pub(crate) const COUNTER: &[u8] = include_bytes!("../../../sdk/examples/prebuilt/counter-rust.wasm");

/// `run` with a little-endian u32 `n` calls `echo` of this canister's own peer (the principal that follows `n` in the
/// argument) `n` times, one after another, each with a callback, and then replies.
const RELAY: &str = r#"(module
  (import "ic0" "msg_arg_data_size" (func $size (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $copy (param i32 i32 i32)))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "call_new" (func $call_new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_data_append" (func $call_data (param i32 i32)))
  (import "ic0" "call_perform" (func $perform (result i32)))
  (memory 1)
  (table 2 funcref)
  (elem (i32.const 0) $next $failed)
  (data (i32.const 512) "echo")
  (global $peer (mut i32) (i32.const 0))
  (func $step
    (if (i32.eqz (i32.load (i32.const 0)))
      (then (call $append (i32.const 0) (i32.const 4)) (call $reply) (return)))
    (i32.store (i32.const 0) (i32.sub (i32.load (i32.const 0)) (i32.const 1)))
    (call $call_new (i32.const 4) (global.get $peer) (i32.const 512) (i32.const 4)
      (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0))
    (call $call_data (i32.const 1024) (i32.const 32))
    (if (call $perform) (then unreachable)))
  (func $next (param i32) (call $step))
  (func $failed (param i32) unreachable)
  (func (export "canister_update run")
    (call $copy (i32.const 0) (i32.const 0) (call $size))
    (global.set $peer (i32.sub (call $size) (i32.const 4)))
    (call $step))
  (func (export "canister_update echo")
    (call $copy (i32.const 2048) (i32.const 0) (call $size))
    (i64.store (i32.const 256) (i64.add (i64.load (i32.const 256)) (i64.const 1)))
    (call $append (i32.const 2048) (call $size))
    (call $reply)))"#;

/// `hoard` makes 8 MiB more of pages that are all different, for states that take a while to fetch.
const HOARD: &str = include_str!("../../conformance/src/modules/hoard.wat");

/// The hoard's module.
///
/// # Panics
/// If our own text form does not assemble.
pub(crate) fn hoard() -> Vec<u8> {
    wat::parse_str(HOARD).expect("assembles")
}

/// The relay's module.
///
/// # Panics
/// If our own text form does not assemble.
pub(crate) fn relay() -> Vec<u8> {
    wat::parse_str(RELAY).expect("assembles")
}
