//! NaN bits are the same on every host, and bits that a program chose survive.

use super::harness::{Canister, computes, engine, module};

const CANONICAL_64: u64 = 0x7ff8_0000_0000_0000;
const CANONICAL_32: u64 = 0x7fc0_0000;

fn run(text: &str) -> u64 {
    Canister::new(engine(), text).update("go", &[]).number()
}

#[test]
fn a_nan_of_arithmetic_has_the_canonical_bits_wherever_it_can_be_seen() {
    let nan = "(f64.div (f64.load (i32.const 64)) (f64.load (i32.const 64)))";
    let seen = |text: String| assert_eq!(run(&text), CANONICAL_64, "{text}");
    seen(computes(&format!("(i64.reinterpret_f64 {nan})")));
    seen(computes(&format!("(i64.reinterpret_f64 (f64.neg {nan}))")));
    seen(computes("(i64.reinterpret_f64 (f64.sqrt (f64.sub (f64.const 0) (f64.const 1))))"));
    seen(computes("(i64.reinterpret_f64 (f64.add (f64.const 1) (f64.const -nan:0xfffff)))"));
    seen(computes("(i64.reinterpret_f64 (f64.promote_f32 (f32.const -nan:0x200001)))"));
    seen(computes(&format!("(i64.reinterpret_f64 (select {nan} (f64.const 1) (i32.const 1)))")));
    seen(computes(&format!("(i64.reinterpret_f64 (block (result f64) {nan}))")));
    seen(computes(&format!("(i64.reinterpret_f64 (if (result f64) (i32.const 1) (then {nan}) (else (f64.const 1))))")));
    seen(module(&format!(r#"(func (export "canister_update go") (f64.store (i32.const 0) {nan}) (call $answer))"#)));
    seen(module(&format!(
        r#"(func $f (result f64) {nan}) (func $g (param f64) (result i64) (i64.reinterpret_f64 (local.get 0)))
           (func (export "canister_update go") (i64.store (i32.const 0) (call $g (call $f))) (call $answer))"#
    )));
    seen(module(&format!(
        r#"(func $f (result f64) (return {nan}))
           (func (export "canister_update go") (f64.store (i32.const 0) (call $f)) (call $answer))"#
    )));
    // Locals: set once, accumulated in a loop, copied, and mixed with bits from memory.
    seen(module(&format!(
        r#"(func (export "canister_update go") (local f64) (local.set 0 {nan}) (f64.store (i32.const 0) (local.get 0)) (call $answer))"#
    )));
    seen(module(&format!(
        r#"(func (export "canister_update go") (local f64 f64 i32)
             (loop (local.set 0 (f64.add (local.get 0) {nan})) (local.set 1 (f64.abs (local.get 0)))
               (br_if 0 (i32.lt_u (local.tee 2 (i32.add (local.get 2) (i32.const 1))) (i32.const 5))))
             (f64.store (i32.const 0) (local.get 1)) (call $answer))"#
    )));
    seen(module(&format!(
        r#"(func (export "canister_update go") (local f64) (local.set 0 (f64.load (i32.const 8))) (local.set 0 {nan})
             (f64.store (i32.const 0) (local.get 0)) (call $answer))"#
    )));
    seen(module(&format!(
        r#"(func (export "canister_update go") (local f64) (f64.store (i32.const 0) (local.tee 0 {nan})) (call $answer))"#
    )));
    seen(module(&format!(
        r#"(global $g (mut f64) (f64.const 0))
           (func (export "canister_update go") (global.set $g {nan}) (f64.store (i32.const 0) (global.get $g)) (call $answer))"#
    )));
}

#[test]
fn the_sign_of_an_open_nan_does_not_leak_through_copysign() {
    let nan = "(f64.div (f64.load (i32.const 64)) (f64.load (i32.const 64)))";
    let one = 1f64.to_bits();
    assert_eq!(run(&computes(&format!("(i64.reinterpret_f64 (f64.copysign (f64.const 1) {nan}))"))), one);
    assert_eq!(run(&computes(&format!("(i64.reinterpret_f64 (f64.copysign {nan} (f64.const -1)))"))), CANONICAL_64);
}

#[test]
fn single_precision_and_vectors_are_no_exception() {
    let zero = "(f32.load (i32.const 64))";
    let scalar = format!("(i64.extend_i32_u (i32.reinterpret_f32 (f32.div {zero} {zero})))");
    assert_eq!(run(&computes(&scalar)), CANONICAL_32);
    let zeroes = "(v128.load (i32.const 64))";
    let lanes = format!("(i64x2.extract_lane 1 (f64x2.div {zeroes} {zeroes}))");
    assert_eq!(run(&computes(&lanes)), CANONICAL_64);
    let lanes = format!("(i64x2.extract_lane 0 (f32x4.sub (f32x4.div {zeroes} {zeroes}) {zeroes}))");
    assert_eq!(run(&computes(&lanes)), CANONICAL_32 << 32 | CANONICAL_32);
    let mixed = "(i64x2.extract_lane 0 (f32x4.sqrt (v128.const f32x4 -1 4 9 16)))";
    assert_eq!(run(&computes(mixed)), u64::from(2f32.to_bits()) << 32 | CANONICAL_32);
}

#[test]
fn bits_that_a_program_chose_survive() {
    let chosen = 0xfff4_dead_beef_0001_u64;
    let survives = |text: String| assert_eq!(run(&text), chosen, "{text}");
    let load = "(f64.load (i32.const 64))";
    let data = r#"(data (i32.const 64) "\01\00\ef\be\ad\de\f4\ff")"#;
    let store = |value: &str| {
        module(&format!(
            r#"{data} (func $same (param f64) (result f64) (local.get 0))
               (func (export "canister_update go") (local f64 f64) {value} (call $answer))"#
        ))
    };
    survives(store(&format!("(f64.store (i32.const 0) {load})")));
    survives(store(&format!("(f64.store (i32.const 0) (f64.neg (f64.neg {load})))")));
    survives(store(&format!("(f64.store (i32.const 0) (call $same {load}))")));
    survives(store(&format!("(f64.store (i32.const 0) (select {load} {load} (i32.const 0)))")));
    survives(store(&format!(
        "(local.set 0 {load}) (local.set 1 (local.get 0)) (f64.store (i32.const 0) (local.get 1))"
    )));
    survives(store(&format!(
        "(local.set 0 (f64.add (f64.const 1) (f64.const 2))) (local.set 0 {load}) (f64.store (i32.const 0) (local.get 0))"
    )));
    survives(computes("(i64.reinterpret_f64 (f64.const -nan:0x4deadbeef0001))"));
}

#[test]
fn arithmetic_that_is_no_nan_is_untouched() {
    let sum = "(i64.reinterpret_f64 (f64.mul (f64.add (f64.const 0.1) (f64.const 0.2)) (f64.const -inf)))";
    assert_eq!(run(&computes(sum)), f64::NEG_INFINITY.to_bits());
    let negative_zero = "(i64.reinterpret_f64 (f64.mul (f64.const -0.0) (f64.const 5)))";
    assert_eq!(run(&computes(negative_zero)), (-0.0f64).to_bits());
}

/// Loops of more than one slice (131,072 instructions), with more floats of a type than are kept aside around its end.
#[test]
fn floats_that_a_loop_changes_survive_the_end_of_a_slice() {
    let text = module(
        r#"(func (export "canister_update go")
             (local f64 f64 f64 f64 f64 f64) (local $single f32) (local $lanes v128) (local $chosen f64) (local $at i32)
             (loop $outer
               (loop $inner
                 (local.set 0 (f64.add (local.get 0) (f64.const 1)))
                 (local.set 1 (f64.add (local.get 1) (local.get 0)))
                 (local.set 2 (f64.sub (local.get 1) (local.get 0)))
                 (local.set 3 (f64.add (local.get 3) (f64.const 0.5)))
                 (local.set 4 (f64.sub (local.get 4) (f64.const 2)))
                 (local.set 5 (f64.add (local.get 4) (local.get 3)))
                 (local.set $single (f32.add (local.get $single) (f32.const 1)))
                 (local.set $lanes (f64x2.add (local.get $lanes) (v128.const f64x2 1 2)))
                 (local.set $chosen (f64.reinterpret_i64 (i64.const 0xfff4deadbeef0001)))
                 (local.set $at (i32.add (local.get $at) (i32.const 1)))
                 (br_if $inner (i32.rem_u (local.get $at) (i32.const 50000))))
               (br_if $outer (i32.lt_u (local.get $at) (i32.const 200000))))
             (f64.store (i32.const 128) (local.get 2))
             (f64.store (i32.const 136) (local.get 5))
             (f64.store (i32.const 144) (f64.promote_f32 (local.get $single)))
             (v128.store (i32.const 152) (local.get $lanes))
             (f64.store (i32.const 168) (local.get $chosen))
             (i64.store (i32.const 0) (i64.xor
               (i64.xor (i64.load (i32.const 128)) (i64.rotl (i64.load (i32.const 136)) (i64.const 1)))
               (i64.xor (i64.xor (i64.rotl (i64.load (i32.const 144)) (i64.const 2)) (i64.rotl (i64.load (i32.const 152)) (i64.const 3)))
                 (i64.xor (i64.rotl (i64.load (i32.const 160)) (i64.const 4)) (i64.load (i32.const 168))))))
             (call $answer))"#,
    );
    let count = 200_000f64;
    let [sum, mixed] = [count * (count + 1.0) / 2.0 - count, count * 0.5 - count * 2.0];
    let expected = sum.to_bits()
        ^ mixed.to_bits().rotate_left(1)
        ^ count.to_bits().rotate_left(2)
        ^ count.to_bits().rotate_left(3)
        ^ (2.0 * count).to_bits().rotate_left(4)
        ^ 0xfff4_dead_beef_0001;
    assert_eq!(run(&text), expected);
}
