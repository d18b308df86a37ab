//! What loads cost that others wait for, by the size of the heap.

use super::harness::{Canister, engine, engines, module};
use crate::instrument::far;

const STEPS: u64 = 1_000;

/// Methods that go through links in memory, `STEPS` of them each, in every way in which a value becomes an address; and methods that load
/// as much with addresses that do not wait for what was loaded. All of it is at address 64, where 64 is stored.
const WAYS: &[(&str, u64, &str)] = &[
    ("through a local", 1, "(local.set $at (i32.load (local.get $at)))"),
    ("on the stack", 2, "(local.set $at (i32.load (i32.load (local.get $at))))"),
    (
        "through arithmetic and another local",
        1,
        "(local.set $next (i32.add (i32.load (local.get $at)) (i32.const 0))) (local.set $at (i32.or (local.get $next) (i32.const 64)))",
    ),
    (
        "through a comparison",
        1,
        "(local.set $at (i32.shl (i32.ne (i32.load (local.get $at)) (i32.const 0)) (i32.const 6)))",
    ),
    ("through a select", 1, "(local.set $at (select (local.get $at) (i32.const 64) (i32.load (local.get $at))))"),
    ("through a float", 1, "(local.set $at (i32.trunc_f32_u (f32.convert_i32_u (i32.load (local.get $at)))))"),
    ("through a vector", 1, "(local.set $at (i32x4.extract_lane 0 (v128.load (local.get $at))))"),
    ("through a block", 1, "(local.set $at (block (result i32) (br 0 (i32.load (local.get $at)))))"),
    (
        "through an if",
        1,
        "(local.set $at (if (result i32) (local.get $at) (then (i32.load (local.get $at))) (else (i32.const 0))))",
    ),
    (
        "through a branch that may fall through",
        1,
        "(local.set $at (block (result i32) (drop (br_if 0 (i32.load (local.get $at)) (local.get $at))) (i32.const 64)))",
    ),
    (
        "through memory",
        1,
        "(i32.store (i32.const 128) (i32.load (i32.const 64))) (local.set $at (i32.load (i32.load (i32.const 128))))",
    ),
    ("through a global", 1, "(global.set $kept (i32.load (global.get $kept)))"),
    ("through an argument", 1, "(local.set $at (i32.const 64)) (drop (call $follow (i32.load (local.get $at))))"),
    ("through a result", 1, "(local.set $at (call $follow (local.get $at)))"),
    ("numbers that are summed up", 0, "(local.set $next (i32.add (local.get $next) (i32.load (i32.const 64))))"),
    ("numbers that are compared", 0, "(if (i32.lt_u (i32.load (i32.const 64)) (i32.const 9)) (then unreachable))"),
    ("numbers that are stored", 0, "(i32.store (i32.const 128) (i32.load (i32.const 64)))"),
    (
        "an array that is walked",
        0,
        "(local.set $next (i32.add (local.get $next) (i32.load (i32.and (local.get $left) (i32.const 255)))))",
    ),
];

fn text(way: &str) -> String {
    module(&format!(
        r#"(global $kept (mut i32) (i32.const 64)) (data (i32.const 64) "\40")
           (func $follow (param i32) (result i32) (i32.load (local.get 0)))
           (func $walk (local $left i32) (local $at i32) (local $next i32)
             (local.set $at (i32.const 64)) (local.set $left (i32.const {STEPS}))
             (loop $again {way} (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1))))))
           (func (export "canister_query walk") (call $walk) (call $answer))
           (func (export "canister_query grow_and_walk") (drop (memory.grow (i32.const 4096))) (call $walk) (call $answer))
           (func (export "canister_query grow_within") (local $left i32) (local $at i32) (local $next i32)
             (local.set $at (i32.const 64)) (local.set $left (i32.const {STEPS}))
             (drop (memory.grow (i32.const 4096)))
             (loop $again {way} (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
             (call $answer))
           (func (export "canister_update grow") (call $argument_copy (i32.const 0) (i32.const 0) (i32.const 4))
             (drop (memory.grow (i32.sub (i32.load (i32.const 0)) (memory.size)))) (call $answer))"#
    ))
}

#[test]
fn a_load_that_another_waits_for_costs_more_in_larger_heaps_however_its_value_gets_there() {
    for (name, waits, way) in WAYS {
        let mut canister = Canister::new(engine(), &text(way));
        let walk = |canister: &mut Canister<'_>| {
            let outcome = canister.query("walk", &[]);
            assert_eq!(outcome.result, Ok(()), "{name}");
            outcome.instructions
        };
        let near = walk(&mut canister);
        for (pages, more) in [(64, 0), (65, 18), (512, 18), (513, 28), (4_096, 28), (4_097, 56)] {
            canister.update("grow", &u32::to_le_bytes(pages)).number();
            assert_eq!(far(u64::from(pages)), more);
            assert_eq!(walk(&mut canister), near + waits * STEPS * more as u64, "{name}, {pages} pages");
        }
    }
}

#[test]
fn a_heap_that_grows_in_a_run_is_large_from_then_on_and_small_again_when_that_is_undone() {
    for engine in &engines() {
        let mut canister = Canister::new(engine, &text(WAYS[0].2));
        let near = canister.query("walk", &[]).instructions;
        for method in ["grow_and_walk", "grow_within"] {
            let grown = canister.query(method, &[]).instructions;
            assert!(grown > near + STEPS * far(4_097) as u64, "{method}");
            assert_eq!(canister.query(method, &[]).instructions, grown, "{method}");
        }
        assert_eq!(canister.query("walk", &[]).instructions, near);
    }
}

#[test]
fn heaps_of_64_bits_are_near_and_far_alike() {
    let text = r#"(module (import "ic0" "msg_reply" (func $reply)) (memory i64 1) (data (i64.const 64) "\40")
        (func (export "canister_query walk") (local $at i64)
          (local.set $at (i64.load (i64.load (i64.load (i64.const 64))))) (call $reply))
        (func (export "canister_update grow") (drop (memory.grow (i64.const 64))) (call $reply)))"#;
    let mut canister = Canister::new(engine(), text);
    let near = canister.query("walk", &[]).instructions;
    assert_eq!(canister.update("grow", &[]).result, Ok(()));
    assert_eq!(canister.query("walk", &[]).instructions, near + 2 * far(65) as u64);
}
