use super::harness::{Canister, Outcome, engine, engines, module, wasm};
use crate::{Tracking, WasmtimeEngine};
use mains_execution::{
    engine::{Engine, Entry, Trap},
    system_api::Mode,
};
use mains_types::ids::canister_id;
use std::sync::Arc;

/// Writes all over its memory, and keeps count in globals of every type.
const WRITER: &str = r#"
    (global $count (mut i64) (i64.const 5)) (global $float (mut f64) (f64.const 1.5)) (global $single (mut f32) (f32.const 2))
    (global $vector (mut v128) (v128.const i64x2 1 2)) (global $small (mut i32) (i32.const -3)) (global $fixed i32 (i32.const 9))
    (data (i32.const 16) "first")
    (func $write (local $seed i64) (local $left i32)
      (global.set $count (i64.add (global.get $count) (i64.const 1)))
      (global.set $float (f64.mul (global.get $float) (f64.const 1.25)))
      (global.set $single (f32.neg (global.get $single)))
      (global.set $vector (i64x2.add (global.get $vector) (v128.const i64x2 3 -1)))
      (global.set $small (i32.add (global.get $small) (i32.const 7)))
      (local.set $seed (i64.add (global.get $count) (i64.const 0x9e3779b97f4a7c15)))
      (local.set $left (i32.wrap_i64 (i64.rem_u (global.get $count) (i64.const 23))))
      (loop $next
        (local.set $seed (i64.mul (i64.xor (local.get $seed) (i64.shr_u (local.get $seed) (i64.const 29))) (i64.const 0xbf58476d1ce4e5b9)))
        (i64.store (i32.add (i32.const 16) (i32.wrap_i64 (i64.rem_u (local.get $seed) (i64.const 65000)))) (local.get $seed))
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        (br_if $next (i32.gt_s (local.get $left) (i32.const 0))))
      (if (i64.eqz (i64.rem_u (global.get $count) (i64.const 10))) (then (drop (memory.grow (i32.const 1)))))
      (i64.store (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 12)) (global.get $count)))
    (func (export "canister_update write") (call $write) (i64.store (i32.const 0) (global.get $count)) (call $answer))
    (func (export "canister_update fail") (call $write) unreachable)
    (func (export "canister_update grow_and_fail") (drop (memory.grow (i32.const 2))) (call $write) unreachable)
    (func (export "canister_query look") (call $write) (i64.store (i32.const 0) (global.get $count)) (call $answer))"#;

/// What a run leaves behind: heap digest and size, globals, instructions, reply.
type Fingerprint = ([u8; 32], u64, Vec<u64>, u64, Vec<u8>);

fn fingerprint(canister: &Canister<'_>, outcome: &Outcome) -> Fingerprint {
    let heap = &canister.code.heap;
    (heap.pages.digest(), heap.bytes, heap.globals.clone(), outcome.instructions, outcome.reply.clone())
}

/// Runs a fixed mix of updates, failing updates and queries.
fn history(engine: impl Fn(usize) -> &'static WasmtimeEngine) -> Vec<Fingerprint> {
    let mut canister = Canister::new(engine(0), &module(WRITER));
    (1..60)
        .map(|step| {
            canister.engine = engine(step);
            let outcome = match step % 5 {
                1 => canister.update("fail", &[]),
                2 => canister.query("look", &[]),
                3 if step % 3 == 0 => canister.update("grow_and_fail", &[]),
                _ => canister.update("write", &[]),
            };
            fingerprint(&canister, &outcome)
        })
        .collect()
}

fn leak(tracking: Tracking) -> Option<&'static WasmtimeEngine> {
    WasmtimeEngine::with_tracking(None, tracking).ok().map(|engine| &*Box::leak(Box::new(engine)))
}

#[test]
fn state_and_instructions_are_the_same_with_every_tracking_and_with_no_live_instance() {
    let compare = leak(Tracking::Compare).expect("comparing works everywhere");
    let expected = history(|_| compare);
    for engine in Tracking::ALL.into_iter().filter_map(leak) {
        assert_eq!(history(|_| engine), expected, "{:?}", engine.tracking());
        // Now on one host, now on the other: every run begins on an instance that is outdated.
        let mixed = history(|step| if step % 3 == 0 { engine } else { compare });
        assert_eq!(mixed, expected, "{:?}", engine.tracking());
    }
    let mut canister = Canister::new(compare, &module(WRITER));
    let mut fresh = Vec::new();
    for step in 1..60 {
        // A canister that the engine has never seen has no live instance.
        canister.id = canister_id(1_000 + step);
        let outcome = match step % 5 {
            1 => canister.update("fail", &[]),
            2 => canister.query("look", &[]),
            3 if step % 3 == 0 => canister.update("grow_and_fail", &[]),
            _ => canister.update("write", &[]),
        };
        fresh.push(fingerprint(&canister, &outcome));
    }
    assert_eq!(fresh, expected);
}

#[test]
fn the_fastest_way_of_tracking_that_works_here_is_taken() {
    let engine = WasmtimeEngine::new(None).expect("an engine starts everywhere");
    let works = |tracking: &Tracking| WasmtimeEngine::with_tracking(None, *tracking).is_ok();
    assert_eq!(Some(engine.tracking()), Tracking::ALL.into_iter().find(works));
    assert!(works(&Tracking::Compare));
    #[cfg(target_os = "linux")]
    assert!(works(&Tracking::PrivateRead), "needs nothing but files in memory");
}

#[test]
fn a_trap_restores_memory_globals_and_size() {
    for engine in &engines() {
        let mut canister = Canister::new(engine, &module(WRITER));
        assert_eq!(canister.update("write", &[]).number(), 6);
        let before = canister.code.heap.clone();
        for method in ["fail", "grow_and_fail", "fail"] {
            assert_eq!(canister.update(method, &[]).result, Err(Trap::Unreachable));
        }
        assert_eq!((&canister.code.heap.pages, canister.code.heap.bytes), (&before.pages, before.bytes));
        assert_eq!(canister.update("write", &[]).number(), 7);
    }
}

#[test]
fn a_query_leaves_nothing_and_sees_the_version_it_is_asked_on() {
    for engine in &engines() {
        let mut canister = Canister::new(engine, &module(WRITER));
        let old = canister.code.clone();
        assert_eq!(canister.query("look", &[]).number(), 6);
        assert_eq!(canister.query("look", &[]).number(), 6);
        assert_eq!(canister.update("write", &[]).number(), 6);
        assert_eq!(canister.update("write", &[]).number(), 7);
        assert_eq!(canister.query("look", &[]).number(), 8);
        let new = std::mem::replace(&mut canister.code, old);
        assert_eq!(canister.query("look", &[]).number(), 6);
        canister.code = new;
        assert_eq!(canister.update("write", &[]).number(), 8);
    }
}

#[test]
fn data_segments_are_applied_once_and_not_on_every_instance() {
    let text = module(
        r#"(data (i32.const 0) "\01\02\03\04\05\06\07\08")
           (func (export "canister_update clear") (i64.store (i32.const 0) (i64.const 0)))
           (func (export "canister_update read") (call $answer))"#,
    );
    for engine in &engines() {
        let mut canister = Canister::new(engine, &text);
        assert_eq!(canister.update("read", &[]).number(), 0x0807_0605_0403_0201);
        assert_eq!(canister.update("clear", &[]).result, Ok(()));
        canister.id = canister_id(301);
        assert_eq!(canister.update("read", &[]).number(), 0);
        assert!(canister.code.heap.pages.is_empty());
    }
}

#[test]
fn segments_that_do_not_fit_are_found_when_a_module_is_instantiated() {
    let engine = engine();
    for (text, trap) in [
        (r#"(module (memory 1) (data (i32.const 65533) "four"))"#, Trap::HeapOutOfBounds),
        (r#"(module (memory 1) (data (i32.const -1) ""))"#, Trap::HeapOutOfBounds),
        (r#"(module (memory i64 1) (data (i64.const -1) "four"))"#, Trap::HeapOutOfBounds),
        (r#"(module (table 1 funcref) (func $f) (elem (i32.const 1) $f))"#, Trap::TableOutOfBounds),
    ] {
        let wasm = wasm(text);
        engine.module(&wasm).expect("it is valid all the same");
        assert_eq!(engine.instantiate(&wasm).map(|heap| heap.bytes), Err(trap), "{text}");
    }
    let exact = wasm(r#"(module (memory 1) (data (i32.const 65532) "four") (data (i32.const 65536) ""))"#);
    assert_eq!(engine.instantiate(&exact).map(|heap| heap.pages.len()), Ok(1));
}

#[test]
fn many_threads_query_while_one_updates() {
    for engine in engines() {
        let engine = &engine;
        std::thread::scope(|scope| {
            for thread in 0..4 {
                scope.spawn(move || {
                    let mut canister = Canister::new(engine, &module(WRITER));
                    canister.id = canister_id(300 + thread % 2);
                    for _ in 0..50 {
                        assert_eq!(canister.query("look", &[]).number(), 6);
                    }
                });
            }
            let mut canister = Canister::new(engine, &module(WRITER));
            for count in 6..56 {
                assert_eq!(canister.update("write", &[]).number(), count);
            }
        });
    }
}

#[test]
fn a_memory_with_64_bit_addresses_works_like_any_other() {
    let text = r#"(module
        (import "ic0" "msg_arg_data_copy" (func $argument_copy (param i64 i64 i64)))
        (import "ic0" "msg_reply_data_append" (func $append (param i64 i64)))
        (import "ic0" "msg_reply" (func $reply))
        (memory i64 1) (table i64 2 funcref) (elem (i64.const 1) $callback)
        (global $last (mut i64) (i64.const 0))
        (func $answer (call $append (i64.const 0) (i64.const 8)) (call $reply))
        (func $callback (param i64) (global.set $last (local.get 0)) (i64.store (i64.const 0) (local.get 0)) (call $answer))
        (func (export "canister_update copy")
          (call $argument_copy (i64.const 100) (i64.const 0) (i64.const 8))
          (memory.copy (i64.const 0) (i64.const 100) (i64.const 8)) (memory.fill (i64.const 100) (i32.const 0) (i64.const 8)) (call $answer))
        (func (export "canister_update grow") (i64.store (i64.const 0) (memory.grow (i64.const 1))) (call $answer))
        (func (export "canister_update too_far") (i64.store (i64.const 0) (memory.grow (i64.const 0x1000000000000))) (call $answer))
        (func (export "canister_update outside") (drop (i64.load (i64.const 0x100000000))))
        (func (export "canister_update huge") (memory.fill (i64.const 0) (i32.const 0) (i64.const -1))))"#;
    for engine in &engines() {
        let mut canister = Canister::new(engine, text);
        assert_eq!(canister.update("copy", &77u64.to_le_bytes()).number(), 77);
        assert_eq!(canister.callback(1, u64::MAX).number(), u64::MAX);
        assert_eq!(canister.code.heap.globals, [u64::MAX]);
        assert_eq!(canister.update("grow", &[]).number(), 1);
        assert_eq!(canister.code.heap.bytes, 2 * 65_536);
        assert_eq!(canister.update("too_far", &[]).number(), u64::MAX);
        assert_eq!(canister.update("outside", &[]).result, Err(Trap::HeapOutOfBounds));
        assert_eq!(canister.update("huge", &[]).result, Err(Trap::OutOfInstructions));
    }
}

#[test]
fn canisters_that_begin_alike_share_their_pages_and_those_that_sleep_take_over_instances() {
    let text = module(
        r#"(func (export "canister_init") (local $at i32)
             (memory.fill (i32.const 0) (i32.const 1) (i32.const 65536))
             (loop $next
               (i64.store (local.get $at) (i64.const 7))
               (local.set $at (i32.add (local.get $at) (i32.const 4096)))
               (br_if $next (i32.lt_u (local.get $at) (i32.const 65536)))))
           (func (export "canister_update add") (local $at i32)
             (call $argument_copy (i32.const 8) (i32.const 0) (i32.const 8))
             (local.set $at (i32.and (i32.load (i32.const 8)) (i32.const 0xf000)))
             (i64.store (local.get $at) (i64.add (i64.load (local.get $at)) (i64.const 1)))
             (i64.store (i32.const 0) (i64.load (local.get $at)))
             (call $answer))"#,
    );
    for engine in &engines() {
        let mut canisters: Vec<_> = (0..100)
            .map(|index| {
                let mut canister = Canister::new(engine, &text);
                canister.id = canister_id(1_000 + index);
                let entry = Entry::Export("canister_init".into());
                assert_eq!(canister.run(Mode::Init, entry, &[], true).result, Ok(()));
                canister
            })
            .collect();
        assert!(canisters.iter().all(|canister| canister.code.heap.pages.same(&canisters[0].code.heap.pages)));
        // More canisters than a module has instances, each with a page of its own.
        for round in 1..4 {
            for (index, canister) in canisters.iter_mut().enumerate() {
                let page = (index as u64 % 15 + 1) << 12;
                assert_eq!(canister.update("add", &page.to_le_bytes()).number(), 7 + round);
            }
        }
        let (one, two) = (&canisters[1].code.heap.pages, &canisters[2].code.heap.pages);
        assert_eq!(
            one.iter().filter(|(at, page)| two.get(*at).is_some_and(|other| Arc::ptr_eq(page, &other))).count(),
            13
        );
    }
}
