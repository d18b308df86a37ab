use super::*;
use crate::validate::FEATURES;
use wasmparser::Validator;

fn pass(text: &str) -> Instrumented {
    let wasm = wat::parse_str(text).expect("the test's module is well written");
    Validator::new_with_features(FEATURES).validate_all(&wasm).expect("the test's module is valid");
    let instrumented = instrument(&wasm).expect("valid modules can be instrumented");
    Validator::new_with_features(FEATURES).validate_all(&instrumented.wasm).expect("what comes out is valid too");
    instrumented
}

/// Uses everything the pass touches.
const SAMPLE: &str = r#"(module
    (import "ic0" "time" (func $time (result i64)))
    (type $two (func (param i32 f64) (result i32 f64)))
    (memory 1) (table 2 funcref) (elem (i32.const 0) $two $loop)
    (global (mut i64) (i64.const 1)) (global i32 (i32.const 2)) (global $f (mut f32) (f32.const 3))
    (func $two (type $two)
      (if (param) (result i32) (local.get 0) (then (return (i32.const 1) (f64.add (local.get 1) (f64.const 1)))) (else (i32.const 2)))
      (local.get 1))
    (func $loop (export "canister_update loop") (local f64 f32 v128)
      (block $out
        (loop $again
          (local.set 0 (f64.mul (local.get 0) (f64.const 3)))
          (br_if $out (f64.gt (local.get 0) (f64.const 1e9)))
          (memory.fill (i32.const 0) (i32.const 1) (i32.const 9))
          (drop (memory.grow (i32.const 0)))
          (br_table $again $out (i32.wrap_i64 (call $time)))))
      (local.set 2 (f32x4.div (local.get 2) (local.get 2)))
      (f64.store (i32.const 0) (local.get 0))
      (global.set $f (f32.sqrt (local.get 1)))
      (call_indirect (type $two) (i32.const 1) (f64.const 2) (i32.const 0)) (drop) (drop))
    (func $chain (param i32) (result i32) (local i32)
      (local.set 1 (i32.load (local.get 0)))
      (loop $next (local.set 1 (i32.load (i32.load (local.get 1)))) (br_if $next (i32.load (local.get 1))))
      (i32.add (local.get 1) (i32.load8_u (i32.const 9))))
    (func $tail (param i32) (result i32 f64) (return_call_indirect (type $two) (local.get 0) (f64.const 1) (i32.const 0)))
    (func $start (unreachable)) (start $start)
    (data (i32.const 8) "active") (data "passive"))"#;

#[test]
fn what_the_pass_makes_of_a_module_changes_only_with_its_version() {
    let instrumented = pass(SAMPLE);
    let hash = blake3::hash(&instrumented.wasm).to_hex();
    assert_eq!((PASS_VERSION, hash.as_str()), (5, "345d176b5b81f9b5770aa9a7e8cccfa3db03170264644b4c3513ccf1158a39df"));
    assert_eq!(instrumented.globals, [0, 2]);
    assert_eq!(instrumented.data.len(), 1);
    assert_eq!(instrumented.data[0].0, 8);
    assert_eq!(instrumented.data[0].1.len(), 6);
}

#[test]
fn unreachable_code_and_odd_shapes_come_out_valid() {
    for text in [
        "(module)",
        "(module (func))",
        "(module (func (result i32) (return (i32.const 1)) (drop) (i32.add) (drop) (f64.add) (drop)))",
        "(module (func (param f64) (result f64) (block (result f64) (br 0 (f64.add (local.get 0) (local.get 0))) (f64.neg))))",
        "(module (func (param f64) (result f64) unreachable (f64.mul) (local.tee 0) (i32.const 0) (select) (f64.copysign)))",
        "(module (func (param i32) (result f32) (f32.const 1) (loop (param f32) (result f32) (f32.sqrt) (br_if 0 (local.get 0)))))",
        "(module (func (param i32) (result i32 i32) (i32.const 1) (if (param i32) (result i32 i32) (local.get 0) (then (i32.const 2)) (else (drop) unreachable))))",
        "(module (func (param i32) (block (block (block (br_table 0 1 2 3 (local.get 0)))))))",
        "(module (func (loop (loop (loop (br 2))))))",
    ] {
        pass(text);
    }
}

#[test]
fn running_the_pass_twice_over_a_module_gives_the_same_bytes() {
    assert_eq!(pass(SAMPLE).wasm, pass(SAMPLE).wasm);
}
