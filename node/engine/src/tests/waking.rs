//! Canisters that are woken: what that counts, and that instances of those that are awake by the state are there.

use super::harness::{Canister, engine, engines, module};
use crate::WasmtimeEngine;
use mains_execution::{
    engine::{COPIED_PAGE_INSTRUCTIONS, Engine, Entry, Run},
    system_api::Mode,
};
use mains_state::{Awake, RunName};
use mains_types::{ids::canister_id, limits::AWAKE_CANISTERS_MAX};

/// Fills all pages, or counts.
const FILL: &str = r#"
    (func (export "canister_update fill") (local $at i32)
      (loop $next
        (i32.store (local.get $at) (i32.add (local.get $at) (i32.const 1)))
        (local.set $at (i32.add (local.get $at) (i32.const 4096)))
        (br_if $next (i32.lt_u (local.get $at) (i32.shl (memory.size) (i32.const 16))))))
    (func $count (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (i32.const 1))))
    (func (export "canister_update count") (call $count))
    (func (export "canister_query look") (call $count))"#;

fn filled(engine: &WasmtimeEngine, wasm_pages: u32) -> Canister<'_> {
    let text = module(FILL).replacen("(memory 1)", &format!("(memory {wasm_pages})"), 1);
    let mut canister = Canister::new(engine, &text);
    canister.instructions = 10_000_000_000;
    assert_eq!(canister.update("fill", &[]).result, Ok(()));
    canister
}

fn count() -> Entry {
    Entry::Export("canister_update count".into())
}

#[test]
fn waking_takes_its_slices_with_an_instance_and_without() {
    const SLICE: u64 = 7_000_000;
    for engine in &engines() {
        let mut canister = filled(engine, 250);
        let waking = canister.code.heap.pages.len() * COPIED_PAGE_INSTRUCTIONS;
        assert_eq!(waking, 4_000 * COPIED_PAGE_INSTRUCTIONS);
        let plain = canister.ran(Mode::Update, count(), &[], true);
        for (number, is_live, forgets) in [(0, true, false), (1, false, false), (2, false, true), (3, true, true)] {
            let name = RunName { round: [3; 32], number, step: 0, tariff: 0 };
            if !is_live {
                canister.id = canister_id(1_000 + number);
            }
            let mut slices = 1;
            let ran = loop {
                let run = Run { waking, ..canister.prepared(Mode::Update, count(), &[], true) };
                if let Some(ran) = engine.advance(run, &name, slices * SLICE) {
                    break ran;
                }
                if forgets && slices % 2 == 0 {
                    assert!(engine.forget_suspended() <= 1);
                }
                slices += 1;
            };
            assert_eq!(slices, (waking + plain.instructions).div_ceil(SLICE), "run {number}");
            assert_eq!((ran.outcome, ran.instructions), (Ok(()), waking + plain.instructions));
            assert_eq!(ran.heap.pages.digest(), plain.heap.pages.digest());
        }
    }
}

#[test]
fn what_waking_takes_is_missing_to_the_run() {
    let mut canister = filled(engine(), 1);
    let plain = canister.ran(Mode::Update, count(), &[], true).instructions;
    canister.instructions = plain + 5_000;
    for (waking, succeeds) in [(0, true), (5_000, true), (5_001, false)] {
        let run = Run { waking, ..canister.prepared(Mode::Update, count(), &[], true) };
        let ran = engine().run(run);
        assert_eq!(ran.outcome.is_ok(), succeeds, "{waking}");
        assert_eq!(ran.instructions, if succeeds { plain + waking } else { canister.instructions });
    }
}

#[test]
fn whoever_is_awake_by_the_state_has_an_instance() {
    let engine = WasmtimeEngine::new(None).unwrap();
    let text = [
        module(FILL),
        module(FILL).replacen("(i32.load (i32.const 8)) (i32.const 1)", "(i32.load (i32.const 8)) (i32.const 2)", 1),
    ];
    let mut canisters: Vec<_> = (0..AWAKE_CANISTERS_MAX as u64 + 80)
        .map(|index| Canister {
            id: canister_id(5_000 + index),
            ..Canister::new(&engine, &text[usize::from(index % 7 == 0)])
        })
        .collect();
    let mut awake = Awake::default();
    let mut random = 1u64;
    for step in 0..3_000usize {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let all = canisters.len();
        let index = if step < all { step } else { (random >> 33) as usize % all };
        let canister = &mut canisters[index];
        if random >> 62 == 0 {
            let entry = || Entry::Export("canister_query look".into());
            canister.run(Mode::ReplicatedQuery, entry(), &[], false);
            // One replica's query takes nothing away.
            canister.run(Mode::CompositeQuery, entry(), &[], true);
        } else {
            assert_eq!(canister.update("count", &[]).result, Ok(()));
        }
        awake.ran(&canister.id, canister.code.heap.pages.len());
        if step % 50 == 0 || step + 1 == 3_000 {
            let lost = canisters.iter().filter(|one| awake.has(&one.id) && !engine.has_awake(&one.id)).count();
            assert_eq!(lost, 0, "after {step} runs");
        }
    }
    let kept = canisters.iter().filter(|one| engine.has_awake(&one.id)).count();
    assert!(kept < canisters.len(), "others were taken over: {kept}");
}
