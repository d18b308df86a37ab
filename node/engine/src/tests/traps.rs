use super::harness::{Canister, engine, engines, module};
use mains_execution::engine::Trap;

#[test]
fn every_way_to_trap_has_its_own_kind() {
    let text = module(
        r#"(type $none (func)) (table 3 funcref) (elem (i32.const 0) $typed)
           (func $typed (param i64))
           (func (export "canister_update load") (drop (i64.load (i32.const 65529))))
           (func (export "canister_update far") (drop (i64.load offset=0xffffffff (i32.const -1))))
           (func (export "canister_update unreachable") unreachable)
           (func (export "canister_update divide") (drop (i32.div_u (i32.const 1) (i32.const 0))))
           (func (export "canister_update overflow") (drop (i32.div_s (i32.const 0x80000000) (i32.const -1))))
           (func (export "canister_update convert") (drop (i32.trunc_f64_s (f64.const nan))))
           (func (export "canister_update null") (call_indirect (type $none) (i32.const 1)))
           (func (export "canister_update type") (call_indirect (type $none) (i32.const 0)))
           (func (export "canister_update table") (call_indirect (type $none) (i32.const 3)))
           (func (export "canister_update called") (call $trap (i32.const 0) (i32.const 4)))
           (func (export "canister_update outside") (call $trap (i32.const 65535) (i32.const 4)))
           (func (export "canister_update twice") (call $reply) (call $reply))
           (data (i32.const 0) "oops")"#,
    );
    for engine in &engines() {
        let mut canister = Canister::new(engine, &text);
        for (method, trap) in [
            ("load", Trap::HeapOutOfBounds),
            ("far", Trap::HeapOutOfBounds),
            ("unreachable", Trap::Unreachable),
            ("divide", Trap::DivisionByZero),
            ("overflow", Trap::IntegerOverflow),
            ("convert", Trap::IntegerOverflow),
            ("null", Trap::IndirectCall),
            ("type", Trap::IndirectCall),
            ("table", Trap::TableOutOfBounds),
            ("called", Trap::Called("oops".into())),
            ("outside", Trap::HeapOutOfBounds),
        ] {
            assert_eq!(canister.update(method, &[]).result, Err(trap), "{method}");
        }
        assert!(matches!(canister.update("twice", &[]).result, Err(Trap::Contract(_))));
        assert!(matches!(canister.update("missing", &[]).result, Err(Trap::Contract(_))));
    }
}

#[test]
fn a_callback_must_be_a_function_of_one_pointer() {
    let text = module(
        r#"(table 3 funcref) (elem (i32.const 0) $good $bad)
           (func $good (param i32) (i64.store (i32.const 0) (i64.extend_i32_u (local.get 0))) (call $answer))
           (func $bad (param i64))"#,
    );
    let mut canister = Canister::new(engine(), &text);
    assert_eq!(canister.callback(0, 0xffff_fff0).number(), 0xffff_fff0);
    for function in [1, 2, 3, u64::MAX] {
        assert_eq!(canister.callback(function, 0).result, Err(Trap::FunctionNotFound(function)));
    }
    assert_eq!(Canister::new(engine(), "(module)").callback(0, 0).result, Err(Trap::FunctionNotFound(0)));
}
