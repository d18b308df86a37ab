//! What pages of the heap cost: those whose content a run changed, once each, whatever noticed the writes and whatever became of them.

use super::harness::{Canister, engines, module};
use crate::WasmtimeEngine;
use mains_execution::{
    engine::{COPIED_PAGE_INSTRUCTIONS, Engine, Entry, HEAP_PAGE_INSTRUCTIONS, Trap},
    system_api::Mode,
};
use mains_state::RunName;

/// The argument (count, value) goes to page 0; then the value is written at the beginning of so many pages behind it.
const TOUCH: &str = r#"
    (func $touch (local $left i32) (local $at i32)
      (call $argument_copy (i32.const 0) (i32.const 0) (i32.const 8))
      (local.set $left (i32.load (i32.const 0)))
      (loop $next
        (local.set $at (i32.add (local.get $at) (i32.const 4096)))
        (i32.store (local.get $at) (i32.load (i32.const 4)))
        (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1))))))
    (func (export "canister_update touch") (call $touch))
    (func (export "canister_query look") (call $touch))
    (func (export "canister_update fail") (call $touch) unreachable)
    (func (export "canister_update grow") (drop (memory.grow (i32.const 1))) (call $touch) unreachable)"#;

fn canister(engine: &WasmtimeEngine, wasm_pages: u32) -> Canister<'_> {
    Canister::new(engine, &module(TOUCH).replacen("(memory 1)", &format!("(memory {wasm_pages})"), 1))
}

fn argument(count: u32, value: u32) -> Vec<u8> {
    [count.to_le_bytes(), value.to_le_bytes()].concat()
}

#[test]
fn a_page_costs_if_its_content_is_another_whatever_noticed_that() {
    for engine in &engines() {
        let mut canister = canister(engine, 4);
        let code = canister.query("look", &argument(20, 7)).instructions;
        let first = canister.update("touch", &argument(20, 7));
        assert_eq!((first.result, first.instructions), (Ok(()), code + 21 * HEAP_PAGE_INSTRUCTIONS));
        let again = canister.update("touch", &argument(20, 7));
        assert_eq!((again.result, again.instructions), (Ok(()), code), "written with the same bytes");
        let zeroes = canister.update("touch", &argument(20, 0));
        assert_eq!(zeroes.instructions, code + 21 * HEAP_PAGE_INSTRUCTIONS, "pages that are all zeroes now");
        let code = canister.query("look", &argument(21, 0)).instructions;
        let more = canister.update("touch", &argument(21, 0));
        assert_eq!(more.instructions, code + HEAP_PAGE_INSTRUCTIONS, "only the count is another");
    }
}

#[test]
fn pages_are_charged_for_too_when_the_message_fails_or_keeps_nothing() {
    for engine in &engines() {
        let mut canister = canister(engine, 4);
        let code = canister.update("touch", &argument(63, 7)).instructions - 64 * HEAP_PAGE_INSTRUCTIONS;
        let entry = || Entry::Export("canister_query look".into());
        let kept = canister.run(Mode::ReplicatedQuery, entry(), &argument(63, 7), false).instructions;
        let query = canister.run(Mode::ReplicatedQuery, entry(), &argument(63, 8), false);
        assert_eq!((kept, query.instructions), (code, code + 64 * HEAP_PAGE_INSTRUCTIONS));
        for method in ["fail", "grow"] {
            let alike = canister.update(method, &argument(63, 7)).instructions;
            let other = canister.update(method, &argument(63, 8));
            assert_eq!(other.result, Err(Trap::Unreachable));
            // After a trap the last page does not count.
            let pages = if method == "grow" { 64 } else { 63 };
            assert_eq!(other.instructions, alike + pages * HEAP_PAGE_INSTRUCTIONS, "{method}");
            let as_query =
                canister.run(Mode::Query, Entry::Export(format!("canister_update {method}")), &argument(63, 7), false);
            // Where memory grew, the 64 pages must be copied to an instance that has its old size.
            let copied = if method == "grow" { 64 } else { 0 };
            assert_eq!(alike, as_query.instructions + copied * COPIED_PAGE_INSTRUCTIONS, "{method}");
        }
        canister.instructions = code + 10 * HEAP_PAGE_INSTRUCTIONS;
        let failed = canister.update("fail", &argument(63, 8));
        assert_eq!((failed.result, failed.instructions), (Err(Trap::Unreachable), canister.instructions));
    }
}

#[test]
fn who_cannot_pay_for_the_last_page_has_changed_none() {
    for engine in &engines() {
        let mut canister = canister(engine, 4);
        canister.update("touch", &argument(3, 3));
        let needed = canister.query("look", &argument(30, 7)).instructions + 31 * HEAP_PAGE_INSTRUCTIONS;
        canister.instructions = needed - 1;
        for _ in 0..2 {
            // The harness compares the heap with the one before.
            let outcome = canister.update("touch", &argument(30, 7));
            assert_eq!((outcome.result, outcome.instructions), (Err(Trap::OutOfInstructions), needed - 1));
        }
        canister.instructions = needed;
        let outcome = canister.update("touch", &argument(30, 7));
        assert_eq!((outcome.result, outcome.instructions), (Ok(()), needed));
        assert_eq!(canister.code.heap.pages.get(30).map(|page| page[0]), Some(7));
    }
}

#[test]
fn pages_take_their_slices_too() {
    const SLICE: u64 = 10_000_000;
    let name = |number| RunName { round: [2; 32], number, step: 0, tariff: 0 };
    for engine in &engines() {
        let mut canister = canister(engine, 200);
        canister.instructions = 20 * SLICE;
        for (number, method, forgets) in
            [(0, "touch", false), (1, "touch", true), (2, "fail", false), (3, "fail", true)]
        {
            let entry = || Entry::Export(format!("canister_update {method}"));
            let whole = canister.ran(Mode::Update, entry(), &argument(3_190, 9), true);
            assert!(whole.instructions > 3_190 * HEAP_PAGE_INSTRUCTIONS);
            let mut slices = 1;
            let ran = loop {
                let run = canister.prepared(Mode::Update, entry(), &argument(3_190, 9), true);
                if let Some(ran) = engine.advance(run, &name(number), slices * SLICE) {
                    break ran;
                }
                if forgets && slices % 2 == 0 {
                    assert_eq!(engine.forget_suspended(), 1);
                }
                slices += 1;
            };
            assert_eq!(slices, whole.instructions.div_ceil(SLICE), "{method}");
            assert_eq!((ran.outcome, ran.instructions), (whole.outcome, whole.instructions));
            assert_eq!(ran.heap.pages.digest(), whole.heap.pages.digest());
        }
        let mut other = Canister { id: canister.id, ..super::pages::canister(engine, 200) };
        assert_eq!(other.update("touch", &argument(1, 1)).result, Ok(()), "what a run that was dropped left is undone");
        assert_eq!(other.code.heap.pages.len(), 2);
    }
}
