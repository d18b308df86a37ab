use super::*;
use mains_execution::engine::{GlobalType, SectionVisibility};

fn check(text: &str) -> Result<ModuleInfo, ModuleError> {
    validate(&wat::parse_str(text).expect("the test's module is well written"))
}

/// Modules and a part of the rule they break.
#[test]
fn every_rule_has_a_module_that_breaks_it() {
    let many = |count: usize, item: &dyn Fn(usize) -> String| (0..count).map(item).collect::<String>();
    let cases: Vec<(String, &str)> = [
        // WebAssembly that is off.
        ("(module (memory 1 2 shared))", "is no valid module: threads must be enabled"),
        ("(module (memory 1) (memory 1))", "multiple memories"),
        ("(module (tag))", "exceptions"),
        ("(module (table 1 externref))", "gc types are disallowed"),
        ("(module (type (struct)))", "without the gc feature"),
        ("(module (memory 1 (pagesize 1)))", "custom page sizes"),
        ("(module (memory 1) (data (i32.add (i32.const 1) (i32.const 1)) \"\"))", "constant expression required"),
        ("(module (func (param v128) (result v128) (f32x4.relaxed_madd (local.get 0) (local.get 0) (local.get 0))))", "relaxed SIMD"),
        ("(module (memory 1) (func (result i32) (i32.atomic.load (i32.const 0))))", "threads"),
        ("(module (func (param i64 i64 i64 i64) (result i64 i64) (i64.add128 (local.get 0) (local.get 1) (local.get 2) (local.get 3))))", "wide arithmetic"),
        ("(module (func (result i32) (i64.const 1)))", "type mismatch"),
        // Tables and segments.
        ("(module (table 1 funcref) (table 1 funcref))", "more than one table"),
        ("(module (table 1000001 funcref))", "table of 1000001 entries"),
        ("(module (table 1 funcref) (func (table.set (i32.const 0) (ref.null func))))", "uses table.set"),
        ("(module (table 1 funcref) (func (drop (table.grow (ref.null func) (i32.const 1)))))", "uses table.grow"),
        ("(module (table 1 funcref) (func (table.fill (i32.const 0) (ref.null func) (i32.const 1))))", "uses table.fill"),
        ("(module (table 1 funcref) (func (table.copy (i32.const 0) (i32.const 0) (i32.const 1))))", "uses table.copy"),
        ("(module (table 1 funcref) (elem $e func) (func (table.init $e (i32.const 0) (i32.const 0) (i32.const 0))))", "uses table.init"),
        ("(module (elem $e func) (func (elem.drop $e)))", "uses elem.drop"),
        ("(module (global (mut funcref) (ref.null func)))", "mutable global that holds a reference"),
        ("(module (memory i64 65537))", "memory of 65537 pages"),
        // Imports.
        ("(module (import \"ic0\" \"foo\" (func)))", "imports unknown function ic0.foo"),
        ("(module (import \"env\" \"time\" (func (result i64))))", "imports unknown function env.time"),
        ("(module (import \"ic0\" \"time\" (func (result i32))))", "imports ic0.time with a wrong type; it is () -> (i64)"),
        ("(module (import \"ic0\" \"trap\" (func (param i64 i64))) (memory 1))", "it is (i32, i32) -> ()"),
        ("(module (import \"ic0\" \"trap\" (func (param i32 i32))) (memory i64 1))", "it is (i64, i64) -> ()"),
        ("(module (import \"ic0\" \"stable_size\" (func (result i32))) (memory i64 1))", "only for modules with 32-bit memory"),
        ("(module (import \"ic0\" \"memory\" (memory 1)))", "imports a memory"),
        ("(module (import \"ic0\" \"table\" (table 1 funcref)))", "imports a table"),
        ("(module (import \"ic0\" \"global\" (global i32)))", "imports a global"),
        // Exports.
        ("(module (func (export \"canister_foo\")))", "no entry point of a canister"),
        ("(module (func (export \"canister_update\")))", "no entry point of a canister"),
        ("(module (func (export \"canister_init\") (param i32)))", "no function without parameters"),
        ("(module (memory (export \"canister_init\") 1))", "no function without parameters"),
        ("(module (func (export \"canister_update a\")) (func (export \"canister_query a\")))", "exports method \"a\" more than once"),
        ("(module (func (export \"canister_composite_query a\")) (func (export \"canister_query a\")))", "more than once"),
        ("(module (func (export \"__mains_gas\")))", "reserved"),
        // Custom sections.
        ("(module (@custom \"icp:secret a\" \"\"))", "has a custom section \"icp:secret a\""),
        ("(module (@custom \"icp:public a\" \"\") (@custom \"icp:private a\" \"\"))", "more than one icp: custom section \"a\""),
    ]
    .into_iter()
    .map(|(text, rule)| (text.to_owned(), rule))
    .chain([
        (format!("(module {})", many(17, &|i| format!("(@custom \"icp:public s{i}\" \"\")"))), "more than 16 icp:"),
        (format!("(module (@custom \"icp:public a\" \"{}\"))", "x".repeat(1 << 20)), "icp: custom sections with more than"),
        (format!("(module {})", many(1_001, &|_| "(global i32 (i32.const 0))".into())), "1001 globals"),
        (format!("(module {})", many(50_001, &|_| "(func)".into())), "50001 functions"),
        (format!("(module {})", many(1_001, &|i| format!("(func (export \"canister_query m{i}\"))"))), "more than 1000 methods"),
        (format!("(module (func (export \"canister_query {}\")))", "m".repeat(20_001)), "method names of more than"),
        (format!("(module (func (local {})))", "i32 ".repeat(10_001)), "10001 locals in function 0"),
        (format!("(module (func {}))", many(500_001, &|_| "(drop (i32.const 0))".into())), "bytes in function 0"),
        (format!("(module {})", many(700, &|_| format!("(func (local {}))", "i32 ".repeat(10_000)))), "too large to compile"),
        (format!("(module (func {}))", many(200_000, &|_| "nop ".into())), "more than 200000 operators in function 0"),
        // What a compiler's time grows with the square of: loops in loops, values through blocks, many ways out.
        (format!("(module (func {} {}))", many(1_200, &|_| "loop ".into()), many(1_200, &|_| "end ".into())), "function 0 that is too entangled"),
        (
            format!("(module (func (local {}) {}))", "i64 ".repeat(5_000), many(4_000, &|_| "block end ".into())),
            "function 0 that is too entangled",
        ),
        (
            format!("(module (func {} {}))", many(1_000, &|_| "i32.const 0 ".into()), many(15_000, &|_| "block end ".into()) + &"drop ".repeat(1_000)),
            "function 0 that is too entangled",
        ),
        (
            format!("(module (func (block {})))", many(100, &|_| format!("(br_table {} (i32.const 0))", "0 ".repeat(9_900)))),
            "function 0 that is too entangled",
        ),
        (
            format!("(module (func $f (param {p}) (result {p}) {} {}))", (0..100).map(|i| format!("local.get {i} ")).collect::<String>(), "call $f ".repeat(5_000), p = "i32 ".repeat(100)),
            "function 0 that is too entangled",
        ),
    ])
    .collect();
    let surprises: Vec<String> = cases
        .into_iter()
        .filter_map(|(text, rule)| {
            let outcome = check(&text).map_or_else(|error| error.to_string(), |_| "accepted".into());
            (!outcome.contains(rule))
                .then(|| format!("{}: expected {rule:?}, got {outcome}", &text[..text.len().min(200)]))
        })
        .collect();
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
}

#[test]
fn what_is_no_module_is_refused_wherever_it_is_cut() {
    for bytes in [&b""[..], b"no module", b"\0asm\x01\0\0", b"\0asm\x0d\0\x01\0"] {
        assert!(validate(bytes).is_err(), "{bytes:?}");
    }
    let whole =
        wat::parse_str("(module (func (export \"canister_update a\") (drop (i32.const 5))))").expect("well written");
    assert!(validate(&whole).is_ok());
    for end in 9..whole.len() {
        // A cut between sections can be a module of its own, but never this one.
        assert!(validate(&whole[..end]).is_err() || validate(&whole[..end]).is_ok_and(|info| info.updates.is_empty()));
    }
}

#[test]
fn a_module_tells_what_it_is() {
    let info = check(
        r#"(module
            (import "ic0" "stable64_size" (func (result i64)))
            (import "ic0" "trap" (func (param i64 i64)))
            (memory i64 1 0x1000000000000) (table i64 3 funcref)
            (func $f) (start $f)
            (export "canister_update a b<c>" (func $f)) (export "canister_query q" (func $f))
            (export "canister_composite_query c" (func $f)) (export "canister_init" (func $f))
            (export "canister_on_low_wasm_memory" (func $f)) (export "anything" (func $f))
            (@custom "icp:public candid:service" "service : {}") (@custom "icp:private enhanced-orthogonal-persistence" "")
            (@custom "name" ""))"#,
    )
    .expect("it breaks no rule");
    let names = |names: &std::collections::BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>();
    assert_eq!(names(&info.updates), ["a b<c>"]);
    assert_eq!(names(&info.queries), ["q"]);
    assert_eq!(names(&info.composite_queries), ["c"]);
    assert_eq!(names(&info.hooks), ["canister_init", "canister_on_low_wasm_memory"]);
    assert!(info.has_start && info.memory64 && info.orthogonal_persistence);
    assert_eq!(info.sections["candid:service"], (SectionVisibility::Public, b"service : {}".to_vec()));
    assert_eq!(info.sections.len(), 2);
    // One empty function, 13 items, and its bytes.
    let units = info.compile_instructions / 3_000;
    assert_eq!(info.compile_instructions, units * 3_000);
    assert!((50 + 1 + 2 * 10..50 + 1 + 2 * 16 + 10).contains(&units), "{units}");
}

#[test]
fn webassembly_that_compilers_emit_is_accepted() {
    for text in [
        "(module (global $g (mut i32) (i32.const 1)) (export \"g\" (global $g)))",
        "(module (func (result i32) (i32.extend8_s (i32.trunc_sat_f64_u (f64.const 1)))))",
        "(module (func (result i32 i64) (i32.const 1) (i64.const 2)))",
        "(module (memory 1) (data $d \"x\") (func (memory.init $d (i32.const 0) (i32.const 0) (i32.const 1)) (memory.copy (i32.const 0) (i32.const 1) (i32.const 2))))",
        "(module (table 1 funcref) (func $f) (elem declare func $f) (func (drop (ref.func $f)) (drop (table.get (i32.const 0)))))",
        "(module (func (param v128) (result v128) (f64x2.mul (local.get 0) (local.get 0))))",
        "(module (func $f (return_call $f)))",
        "(module (memory 65536))",
        "(module (memory 1) (data $d \"x\") (func (data.drop $d)))",
    ] {
        check(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
}

#[test]
fn globals_that_are_mutable_or_exported_are_told_with_the_memorys_bound() {
    let info = check(
        "(module (memory 1 3)
            (global (export \"base\") i32 (i32.const -1))
            (global i64 (i64.const 5))
            (global (mut f64) (f64.const 1))
            (global (export \"vector\") (mut v128) (v128.const i64x2 1 2))
            (global (export \"float\") f32 (f32.const 1))
            (global (export \"function\") funcref (ref.null func)))",
    )
    .unwrap();
    assert_eq!(info.memory_bytes_max, 3 * limits::WASM_PAGE_BYTES);
    let globals: Vec<_> = info.globals.iter().map(|global| (global.ty, global.constant)).collect();
    let expected = [
        (GlobalType::I32, Some(u128::from(u32::MAX))),
        (GlobalType::F64, None),
        (GlobalType::V128, None),
        (GlobalType::F32, Some(u128::from(1.0f32.to_bits()))),
    ];
    assert_eq!(globals, expected);
    assert_eq!(check("(module)").unwrap().memory_bytes_max, 0);
    assert_eq!(check("(module (memory i64 1))").unwrap().memory_bytes_max, limits::HEAP_BYTES_MAX);
}
