use super::harness::{Canister, LIMIT, Outcome, engine, engines, module};
use mains_execution::engine::{Engine, Entry, HEAP_PAGE_INSTRUCTIONS, Trap};
use mains_execution::system_api::Mode;
use mains_types::limits::{HEAP_BYTES_MAX, STACK_SLOTS_MAX, WASM_PAGE_BYTES};

/// Runs an update method as a query, which is not charged for the pages that it changes.
fn code_alone(canister: &mut Canister<'_>, method: &str, argument: &[u8]) -> Outcome {
    canister.run(Mode::Query, Entry::Export(format!("canister_update {method}")), argument, false)
}

#[test]
fn an_endless_loop_stops_at_the_limit_and_is_charged_whole() {
    for engine in &engines() {
        let mut canister = Canister::new(engine, &module(r#"(func (export "canister_update go") (loop (br 0)))"#));
        let outcome = canister.update("go", &[]);
        assert_eq!((outcome.result, outcome.instructions), (Err(Trap::OutOfInstructions), LIMIT));
    }
}

#[test]
fn endless_recursion_uses_up_the_metered_stack_and_not_the_hosts() {
    let engine = engine();
    let text = module(
        r#"(func $deeper (param i64 i64 f64) (result i64)
             (i64.add (local.get 0) (call $deeper (local.get 1) (local.get 0) (local.get 2))))
           (func (export "canister_update go") (drop (call $deeper (i64.const 1) (i64.const 2) (f64.const 3))))"#,
    );
    let mut canister = Canister::new(engine, &text);
    assert_eq!(canister.update("go", &[]).result, Err(Trap::StackOverflow));
    // And the next run has the whole stack again.
    assert_eq!(canister.update("go", &[]).result, Err(Trap::StackOverflow));
}

#[test]
fn frames_that_the_compiler_blows_up_still_hit_the_metered_depth_first() {
    // Thousands of loop invariants: hoisted out of the loop they all live in the native frame at once.
    let invariants: String = (1..20_000)
        .map(|i| {
            format!(
                "(local.set 1 (i64.add (local.get 1) (i64.rotl (i64.mul (local.get 0) (i64.const {i})) (local.get 1))))"
            )
        })
        .collect();
    let text = module(&format!(
        r#"(func $deeper (param i64) (result i64) (local i64)
             (loop $again {invariants}
               (local.set 1 (i64.add (local.get 1) (call $deeper (i64.add (local.get 0) (i64.const 1)))))
               (br_if $again (i64.eqz (local.get 1))))
             (local.get 1))
           (func (export "canister_update go") (drop (call $deeper (i64.const 1))))"#
    ));
    let mut canister = Canister::new(engine(), &text);
    canister.instructions = 20_000_000_000;
    assert_eq!(canister.update("go", &[]).result, Err(Trap::StackOverflow));
}

#[test]
fn the_least_frame_leaves_a_depth_that_honest_recursion_does_not_reach() {
    let text = module(
        r#"(func $deeper (param i32) (if (local.get 0) (then (call $deeper (i32.sub (local.get 0) (i32.const 1))))))
           (func (export "canister_update go") (call $deeper (i32.const 80000)))"#,
    );
    assert_eq!(Canister::new(engine(), &text).update("go", &[]).result, Ok(()));
    const { assert!(STACK_SLOTS_MAX >= 80_000 * 11) };
}

#[test]
fn tail_calls_keep_the_stack_and_use_up_instructions() {
    let text = module(
        r#"(table 1 funcref) (elem (i32.const 0) $indirect)
           (type $step (func (param i64) (result i64)))
           (func $direct (type $step) (return_call $indirect (i64.add (local.get 0) (i64.const 1))))
           (func $indirect (type $step)
             (if (result i64) (i64.eq (local.get 0) (i64.const 500000)) (then (local.get 0))
               (else (return_call_indirect (type $step) (i64.add (local.get 0) (i64.const 1)) (i32.const 0)))))
           (func $endless (return_call $endless))
           (func (export "canister_update count") (i64.store (i32.const 0) (call $direct (i64.const 0))) (call $answer))
           (func (export "canister_update endless") (call $endless))"#,
    );
    let mut canister = Canister::new(engine(), &text);
    assert_eq!(canister.update("count", &[]).number(), 500_000);
    assert_eq!(canister.update("endless", &[]).result, Err(Trap::OutOfInstructions));
}

#[test]
fn growing_beyond_the_canisters_limit_is_a_trap_and_beyond_the_modules_own_is_not() {
    for engine in &engines() {
        let text = module(
            r#"(func (export "canister_update grow")
                 (i64.store (i32.const 0) (i64.extend_i32_s (memory.grow (i32.const 9)))) (call $answer))
               (func (export "canister_update far")
                 (i64.store (i32.const 0) (i64.extend_i32_s (memory.grow (i32.const 65536)))) (call $answer))"#,
        );
        let mut canister = Canister::new(engine, &text);
        canister.settings.wasm_memory_limit = 10 * WASM_PAGE_BYTES;
        assert_eq!(canister.update("grow", &[]).number(), 1);
        assert_eq!(canister.code.heap.bytes, 10 * WASM_PAGE_BYTES);
        let (bytes, limit) = (19 * WASM_PAGE_BYTES, 10 * WASM_PAGE_BYTES);
        assert_eq!(canister.update("grow", &[]).result, Err(Trap::HeapLimit { bytes, limit }));
        assert_eq!(canister.code.heap.bytes, 10 * WASM_PAGE_BYTES);
        assert_eq!(canister.update("far", &[]).number() as i64, -1);
    }
}

#[test]
fn memory_grows_up_to_the_protocols_limit_at_once_and_is_charged_by_page() {
    let text = module(
        r#"(func (export "canister_update most") (i64.store (i32.const 0) (i64.extend_i32_s (memory.grow (i32.const 65535)))) (call $answer))
           (func (export "canister_update more") (i64.store (i32.const 0) (i64.extend_i32_s (memory.grow (i32.const 65536)))) (call $answer))
           (func (export "canister_update last") (i64.store (i32.const 0xfffffff8) (i64.const 7))
             (i64.store (i32.const 0) (i64.load (i32.const 0xfffffff8))) (call $answer))"#,
    );
    let mut canister = Canister::new(engine(), &text);
    assert_eq!(canister.update("more", &[]).number() as i64, -1);
    let outcome = canister.update("most", &[]);
    assert_eq!(outcome.number(), 1);
    assert!(outcome.instructions > 65_535 * 500);
    assert_eq!(canister.code.heap.bytes, HEAP_BYTES_MAX);
    assert_eq!(canister.update("last", &[]).number(), 7);
    assert_eq!(canister.code.heap.pages.len(), 2);
}

#[test]
fn an_endless_start_function_stops_too() {
    let engine = engine();
    let wasm = super::harness::wasm(r#"(module (func $start (loop (br 0))) (start $start))"#);
    assert!(engine.module(&wasm).expect("it is valid").has_start);
    let text =
        module(r#"(func $start (loop (br_if 0 (i32.load (i32.const 8))))) (start $start) (data (i32.const 0) "")"#);
    let mut canister = Canister::new(engine, &text);
    canister.code.heap.pages.write(8, &[1]);
    let outcome = canister.run(Mode::Start, Entry::Start, &[], true);
    assert_eq!((outcome.result, outcome.instructions), (Err(Trap::OutOfInstructions), LIMIT));
}

#[test]
fn bulk_operations_are_charged_by_length_before_they_work() {
    for engine in &engines() {
        let text = module(
            r#"(data $words "0123456789")
               (func (export "canister_update fill") (memory.fill (i32.const 0) (i32.const 1) (call $length)))
               (func (export "canister_update copy") (memory.copy (i32.const 1) (i32.const 0) (call $length)))
               (func (export "canister_update init") (memory.init $words (i32.const 0) (i32.const 0) (call $length)))
               (func $length (result i32) (call $argument_copy (i32.const 100) (i32.const 0) (i32.const 4)) (i32.load (i32.const 100)))"#,
        );
        let mut canister = Canister::new(engine, &text);
        for method in ["fill", "copy", "init"] {
            let mut run = |length: u32| code_alone(&mut canister, method, &length.to_le_bytes());
            let [none, ten] = [0, 10].map(&mut run);
            assert_eq!((none.result, ten.result), (Ok(()), Ok(())));
            assert_eq!(ten.instructions, none.instructions + 10, "{method}");
            let beyond = run(60_000_000);
            assert_eq!(beyond.result, Err(Trap::HeapOutOfBounds));
            assert_eq!(beyond.instructions, none.instructions + 60_000_000, "{method}");
            let unpaid = run(u32::MAX);
            assert_eq!((unpaid.result, unpaid.instructions), (Err(Trap::OutOfInstructions), LIMIT), "{method}");
        }
    }
}

#[test]
fn a_dropped_segment_is_still_there_whether_or_not_the_instance_is() {
    for engine in &engines() {
        let text = module(
            r#"(data $word "x")
               (func (export "canister_update go")
                 (memory.init $word (i32.const 0) (i32.const 0) (i32.const 1))
                 (data.drop $word)
                 (memory.init $word (i32.const 1) (i32.const 0) (i32.const 1)))"#,
        );
        let mut canister = Canister::new(engine, &text);
        let [first, second] = [(); 2].map(|()| canister.update("go", &[]));
        assert_eq!((first.result, second.result), (Ok(()), Ok(())));
        assert_eq!(first.instructions, second.instructions + HEAP_PAGE_INSTRUCTIONS, "the second run changes nothing");
    }
}

#[test]
fn work_before_a_trap_is_charged_up_to_one_slice() {
    let spin = |end: &str| {
        module(&format!(
            r#"(func (export "canister_update go") (local i64)
                 (loop $again (local.set 0 (i64.add (local.get 0) (i64.const 1)))
                   (br_if $again (i64.lt_u (local.get 0) (i64.const 1000000))))
                 {end})"#
        ))
    };
    let engine = engine();
    let whole = Canister::new(engine, &spin("")).update("go", &[]).instructions;
    assert!(whole > 6_000_000);
    for end in ["unreachable", "(drop (i32.load (i32.const -1)))", "(drop (i32.div_u (i32.const 1) (i32.const 0)))"] {
        let outcome = Canister::new(engine, &spin(end)).update("go", &[]);
        assert!(outcome.result.is_err());
        assert!(outcome.instructions > whole - (1 << 17) - 100 && outcome.instructions < whole + 100, "{end}");
    }
}

#[test]
fn a_run_has_exactly_the_instructions_it_needs_or_none() {
    let text = module(
        r#"(func (export "canister_update go") (local i32)
        (local.set 0 (i32.const 1000))
        (loop (call $answer_once) (local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br_if 0 (local.get 0))))
        (func $answer_once (drop (call $counter (i32.const 0))))"#,
    );
    for engine in &engines() {
        let mut canister = Canister::new(engine, &text);
        let needed = canister.update("go", &[]).instructions;
        canister.instructions = needed;
        assert_eq!(canister.update("go", &[]).result, Ok(()));
        canister.instructions = needed - 1;
        let outcome = canister.update("go", &[]);
        assert_eq!((outcome.result, outcome.instructions), (Err(Trap::OutOfInstructions), needed - 1));
    }
}

/// Counts by hand from the cost table: they are part of the protocol.
#[test]
fn instructions_are_counted_as_the_table_says() {
    for (body, expected) in [
        ("", 0),
        ("(i64.store (i32.const 0) (i64.add (i64.const 1) (i64.const 2)))", 5),
        ("(drop (i32.div_u (i32.const 7) (i32.const 2)))", 12),
        ("(block (br_if 0 (i32.const 1)) (i64.store (i32.const 0) (i64.const 2)))", 3),
        ("(block (br_if 0 (i32.const 0)) (i64.store (i32.const 0) (i64.const 2)))", 6),
        ("(if (i32.const 1) (then (nop)) (else (i64.store (i32.const 0) (i64.const 2))))", 3),
        ("(if (i32.const 0) (then (nop)) (else (i64.store (i32.const 0) (i64.const 2))))", 6),
        // Ten rounds of tee, get, const, add, const, lt, br_if.
        ("(loop (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 10))))", 10 * 8),
        ("(call $one) (call $one)", 2 * (5 + 2)),
        ("(drop (i64.rem_s (i64.const 7) (i64.const 2)))", 22),
        ("(drop (f64.sqrt (f64.div (f64.const 7) (f64.const 2))))", 37),
        ("(call_indirect (type $none) (i32.const 0))", 16 + 2),
        ("(drop (memory.grow (i32.const 3)))", 301 + 3 * 500),
        ("(memory.fill (i32.const 0) (i32.const 0) (i32.const 4096))", 103 + 4096),
    ] {
        let text = format!(
            r#"(module (memory 1) (type $none (func)) (table 1 funcref) (elem (i32.const 0) $one)
                (global $g (mut i32) (i32.const 0))
                (func $one (drop (i32.eqz (i32.const 1))))
                (func (export "canister_update go") (local i32) {body}))"#
        );
        let outcome = code_alone(&mut Canister::new(engine(), &text), "go", &[]);
        assert_eq!((outcome.result, outcome.instructions), (Ok(()), expected), "{body}");
    }
}
