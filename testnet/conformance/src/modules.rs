//! Modules in WebAssembly's text form: a counter, and everything that a module should not do.

/// Counts: `inc` (update) adds one and answers the value, `get` (query) answers it, as eight little-endian bytes;
/// `inc_and_trap` adds one and traps.
const COUNTER: &str = r#"(module
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "trap" (func $trap (param i32 i32)))
  (memory 1)
  (data (i32.const 64) "on purpose")
  (func $inc (i64.store (i32.const 0) (i64.add (i64.load (i32.const 0)) (i64.const 1))))
  (func $answer (call $append (i32.const 0) (i32.const 8)) (call $reply))
  (func (export "canister_update inc") (call $inc) (call $answer))
  (func (export "canister_query get") (call $answer))
  (func (export "canister_update inc_and_trap") (call $inc) (call $trap (i32.const 64) (i32.const 10)))
  EXTRA)"#;

/// Does, when asked, what a canister should not do. `get` answers a value that each of these has changed before it went
/// wrong, except `no_reply`, which does not trap.
const HOSTILE: &str = r#"(module
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reject_code" (func $reject_code (result i32)))
  (import "ic0" "stable64_grow" (func $stable_grow (param i64) (result i64)))
  (import "ic0" "trap" (func $trap (param i32 i32)))
  (type $nothing (func))
  (memory 1)
  (table 2 funcref)
  (func $touch (i64.store (i32.const 0) (i64.add (i64.load (i32.const 0)) (i64.const 1))))
  (func $answer (call $append (i32.const 0) (i32.const 8)) (call $reply))
  (func $deeper (param i64) (result i64) (i64.add (i64.const 1) (call $deeper (i64.add (local.get 0) (i64.const 1)))))
  (func (export "canister_query get") (call $answer))
  (func (export "canister_update change") (call $touch) (call $answer))
  (func (export "canister_update loop") (call $touch) (loop (br 0)))
  (func (export "canister_query spin") (loop (br 0)))
  (func (export "canister_update recurse") (call $touch) (drop (call $deeper (i64.const 0))))
  (func (export "canister_update grow") (call $touch)
    (loop
      (drop (memory.grow (i32.const 16)))
      (i64.store (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 8)) (i64.const 1))
      (br 0)))
  (func (export "canister_update grow_stable") (call $touch) (loop (drop (call $stable_grow (i64.const 65536))) (br 0)))
  (func (export "canister_update unreachable") (call $touch) unreachable)
  (func (export "canister_update divide") (call $touch) (drop (i32.div_u (i32.const 1) (i32.const 0))))
  (func (export "canister_update overflow") (call $touch) (drop (i32.trunc_f64_s (f64.const 1e300))))
  (func (export "canister_update beyond_the_heap") (call $touch) (i32.store (i32.const 0x7fffffff) (i32.const 1)))
  (func (export "canister_update beyond_the_table") (call $touch) (call_indirect (type $nothing) (i32.const 9)))
  (func (export "canister_update null_function") (call $touch) (call_indirect (type $nothing) (i32.const 1)))
  (func (export "canister_update reply_beyond_the_heap") (call $touch) (call $append (i32.const 65000) (i32.const 70000)))
  (func (export "canister_update reply_twice") (call $touch) (call $answer) (call $answer))
  (func (export "canister_update no_reply"))
  (func (export "canister_update huge_reply") (call $touch)
    (loop (call $append (i32.const 0) (i32.const 65536)) (br 0)))
  (func (export "canister_update wrong_place") (call $touch) (drop (call $reject_code)))
  (func (export "canister_update trap_with_binary") (call $touch)
    (memory.fill (i32.const 1024) (i32.const 0xff) (i32.const 60000))
    (call $trap (i32.const 1024) (i32.const 60000))))"#;

const HOARD: &str = include_str!("modules/hoard.wat");

/// `flood` calls itself twice, each time, for ever.
const FLOOD: &str = r#"(module
  (import "ic0" "canister_self_copy" (func $self (param i32 i32 i32)))
  (import "ic0" "call_new" (func $call_new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_perform" (func $perform (result i32)))
  (import "ic0" "msg_reply" (func $reply))
  (memory 1)
  (table 1 funcref)
  (elem (i32.const 0) $ignore)
  (data (i32.const 64) "flood")
  (func $ignore (param i32))
  (func $call
    (call $call_new (i32.const 0) (i32.const 10) (i32.const 64) (i32.const 5)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
    (drop (call $perform)))
  (func (export "canister_update flood")
    (call $self (i32.const 0) (i32.const 0) (i32.const 10))
    (call $call)
    (call $call)
    (call $reply)))"#;

/// What `HOSTILE` is called to do, and the code and text that it is told.
pub const HOSTILE_CALLS: [(&str, &str, &str); 15] = [
    ("loop", "IC0522", "exceeded the limit of instructions"),
    ("recurse", "IC0502", "stack overflow"),
    ("grow", "IC05", ""),
    ("grow_stable", "IC05", ""),
    ("unreachable", "IC0502", "unreachable"),
    ("divide", "IC0502", "integer division by 0"),
    ("overflow", "IC0502", "integer overflow"),
    ("beyond_the_heap", "IC0502", "heap out of bounds"),
    ("beyond_the_table", "IC0502", "table out of bounds"),
    ("null_function", "IC0502", "indirect call"),
    ("reply_beyond_the_heap", "IC0502", "heap out of bounds"),
    ("reply_twice", "IC0504", ""),
    ("huge_reply", "IC0504", ""),
    ("wrong_place", "IC0504", "msg_reject_code"),
    ("trap_with_binary", "IC0503", "ic0.trap"),
];

/// Modules that must be refused: what is wrong with each, the module in text form, and the text of the refusal.
const INVALID: [(&str, &str, &str); 20] = [
    (
        "imports an unknown system call",
        r#"(module (import "ic0" "frobnicate" (func)))"#,
        "imports unknown function ic0.frobnicate",
    ),
    (
        "imports a function of another world",
        r#"(module (import "env" "abort" (func)))"#,
        "imports unknown function env.abort",
    ),
    (
        "imports a system call with another type",
        r#"(module (import "ic0" "msg_reply" (func (param i32))))"#,
        "wrong type",
    ),
    ("imports a memory", r#"(module (import "env" "memory" (memory 1)))"#, "imports a memory"),
    ("shares its memory with threads", "(module (memory 1 1 shared))", "threads"),
    (
        "uses atomic operations",
        "(module (memory 1) (func (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))))",
        "threads",
    ),
    ("declares more memory than 32 bits address", "(module (memory 65537))", "memory"),
    ("declares 256 TiB of memory", "(module (memory i64 0x1_0000_0000))", "has a memory of"),
    ("declares a huge table", "(module (table 4000000000 funcref))", "has a table of"),
    ("has two memories", "(module (memory 1) (memory 1))", "memor"),
    ("has two tables", "(module (table 1 funcref) (table 1 funcref))", "more than one table"),
    ("does not type check", "(module (func (result i32)))", "no valid module"),
    (
        "exports a method with a parameter",
        r#"(module (func (export "canister_update go") (param i32)))"#,
        "without parameters",
    ),
    ("exports an unknown entry point", r#"(module (func (export "canister_teardown")))"#, "no entry point"),
    (
        "exports a method as update and as query",
        r#"(module (func $f) (export "canister_update go" (func $f)) (export "canister_query go" (func $f)))"#,
        "more than once",
    ),
    ("changes its table", "(module (table 1 funcref) (func (table.set (i32.const 0) (ref.null func))))", "table.set"),
    ("uses exceptions", "(module (tag $e) (func (throw $e)))", "no valid module"),
    ("uses garbage collected types", "(module (type (struct (field i32))))", "no valid module"),
    (
        "uses relaxed SIMD",
        "(module (func (param v128) (drop (i8x16.relaxed_swizzle (local.get 0) (local.get 0)))))",
        "no valid module",
    ),
    ("has a data segment without a memory", r#"(module (data (i32.const 0) "x"))"#, "no valid module"),
];

/// The counter.
pub fn counter() -> Vec<u8> {
    assemble(&COUNTER.replace("EXTRA", ""))
}

/// A counter that declares all the memory that 32 bits address.
pub fn counter_with_all_memory() -> Vec<u8> {
    assemble(&COUNTER.replace("EXTRA", "").replace("(memory 1)", "(memory 65536)"))
}

/// A counter with a function of its own in `hook` (such as `canister_post_upgrade`) that traps.
pub fn counter_that_traps_in(hook: &str) -> Vec<u8> {
    let extra = format!(r#"(func (export "{hook}") (call $inc) (call $trap (i32.const 64) (i32.const 10)))"#);
    assemble(&COUNTER.replace("EXTRA", &extra))
}

/// A counter with a start function.
pub fn counter_that_starts_with(body: &str) -> Vec<u8> {
    assemble(&COUNTER.replace("EXTRA", &format!("(func $start {body}) (start $start)")))
}

/// A counter whose `canister_inspect_message` does this.
pub fn counter_that_inspects_with(body: &str) -> Vec<u8> {
    assemble(&COUNTER.replace("EXTRA", &format!(r#"(func (export "canister_inspect_message") {body})"#)))
}

/// The module behind [`HOSTILE_CALLS`].
pub fn hostile() -> Vec<u8> {
    assemble(HOSTILE)
}

/// A canister whose `hoard` makes 8 MiB more of pages that are all different.
pub fn hoard() -> Vec<u8> {
    assemble(HOARD)
}

/// A canister that calls itself twice, for ever, once its `flood` is called.
pub fn flood() -> Vec<u8> {
    assemble(FLOOD)
}

/// Modules that must be refused: what is wrong with each, the module, and the text of the refusal.
pub fn invalid() -> Vec<(String, Vec<u8>, &'static str)> {
    let mut all: Vec<_> =
        INVALID.iter().map(|(name, text, refusal)| ((*name).into(), assemble(text), *refusal)).collect();
    let mut binary = |name: &str, module: Vec<u8>, refusal| all.push((name.into(), module, refusal));
    let mut cut_off = counter();
    cut_off.truncate(cut_off.len() - 7);
    binary("is no module", b"#!/bin/sh\necho hello\n".to_vec(), "is no valid module");
    binary("is empty", Vec::new(), "is no valid module");
    binary("ends early", cut_off, "is no valid module");
    binary("is a component", b"\0asm\x0d\0\x01\0".to_vec(), "");
    binary("is of another version", b"\0asm\x02\0\0\0".to_vec(), "is no valid module");
    binary("is a damaged gzip file", b"\x1f\x8b\x08damaged".to_vec(), "gzip");
    binary("has too many functions", assemble(&format!("(module {})", "(func)".repeat(50_001))), "functions");
    binary(
        "has too many globals",
        assemble(&format!("(module {})", "(global i32 (i32.const 0))".repeat(1_001))),
        "globals",
    );
    let locals = format!("(module (func (local {})))", "i64 ".repeat(10_001));
    binary("has too many locals", assemble(&locals), "locals");
    let methods: String = (0..1_001).map(|index| format!(r#"(export "canister_update m{index}" (func $f))"#)).collect();
    binary("exports too many methods", assemble(&format!("(module (func $f) {methods})")), "methods");
    all
}

/// A module in text form, assembled without being checked.
///
/// # Panics
/// If our own text form does not assemble.
pub fn assemble(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("assembles")
}
