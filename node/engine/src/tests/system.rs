use super::harness::{Canister, LIMIT, engine, engines, module};
use mains_execution::engine::Trap;

#[test]
fn system_calls_are_charged_and_seen_by_the_counter() {
    let text = module(
        r#"(func (export "canister_update measure") (local i64)
             (local.set 0 (call $counter (i32.const 0)))
             (call $argument_copy (i32.const 100) (i32.const 0) (call $argument_size))
             (i64.store (i32.const 0) (i64.sub (call $counter (i32.const 0)) (local.get 0))) (call $answer))"#,
    );
    for engine in &engines() {
        let mut canister = Canister::new(engine, &text);
        let [short, long] = [0, 5_000].map(|bytes| canister.update("measure", &vec![0; bytes]).number());
        assert!(short > 0);
        assert_eq!(long, short + 5_000);
    }
}

#[test]
fn a_system_call_that_cannot_be_paid_ends_the_run() {
    let text =
        module(r#"(func (export "canister_update go") (loop (call $append (i32.const 0) (i32.const 60000)) (br 0)))"#);
    let mut canister = Canister::new(engine(), &text);
    canister.instructions = 200_000;
    let outcome = canister.update("go", &[]);
    assert_eq!((outcome.result, outcome.instructions), (Err(Trap::OutOfInstructions), 200_000));
    const { assert!(LIMIT > 200_000) };
}

#[test]
fn calls_and_timers_reach_execution_as_effects() {
    let text = r#"(module
        (import "ic0" "global_timer_set" (func $timer (param i64) (result i64)))
        (import "ic0" "call_new" (func $call (param i32 i32 i32 i32 i32 i32 i32 i32)))
        (import "ic0" "call_data_append" (func $data (param i32 i32)))
        (import "ic0" "call_perform" (func $perform (result i32)))
        (memory 1) (data (i32.const 0) "\00\00\00\00\00\00\00\05\01\01method")
        (func (export "canister_update go")
          (drop (call $timer (i64.const 99)))
          (call $call (i32.const 0) (i32.const 10) (i32.const 10) (i32.const 6) (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4))
          (call $data (i32.const 10) (i32.const 3))
          (drop (call $perform))))"#;
    let outcome = Canister::new(engine(), text).update("go", &[]);
    assert_eq!(outcome.result, Ok(()));
    let [call] = &outcome.effects.calls[..] else { panic!("one call was made") };
    assert_eq!((call.method.as_str(), &call.argument[..]), ("method", &b"met"[..]));
    assert!(outcome.effects.global_timer.is_some());
}
