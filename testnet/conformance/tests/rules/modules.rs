//! Which modules are taken.

use anyhow::Result;
use ic_management_canister_types::CanisterInstallMode;
use mains_conformance::{
    Cases, manage,
    module::Module,
    modules,
    script::{Script, words::*},
    world::{rejects, replies, same},
};

/// What a module may have, in text form: each is installed.
const VALID: [(&str, &str); 20] = [
    ("nothing at all", "(module)"),
    ("a start function", "(module (func $s) (start $s))"),
    ("a method with an empty name", r#"(module (func (export "canister_query ")))"#),
    ("a method whose name has spaces", r#"(module (func (export "canister_query name with spaces")))"#),
    ("a method whose name is beyond ASCII", r#"(module (func (export "canister_update \e2\98\83")))"#),
    (
        "one function for several methods",
        r#"(module (func $f) (export "canister_update a" (func $f)) (export "canister_query b" (func $f)))"#,
    ),
    ("an exported memory", r#"(module (memory (export "memory") 1))"#),
    (
        "an exported table and global",
        r#"(module (table (export "table") 1 funcref) (global (export "global") i32 (i32.const 1)))"#,
    ),
    (
        "exports that are not about canisters",
        r#"(module (func (export "main") (param i32) (result i32) (local.get 0)))"#,
    ),
    ("a memory with a maximum", "(module (memory 1 100))"),
    ("a passive data segment", r#"(module (memory 1) (data "abc"))"#),
    ("mutable globals", "(module (global (mut i64) (i64.const 0)) (global (mut f64) (f64.const 0)))"),
    ("floats", "(module (func (param f64) (result f64) (f64.sqrt (local.get 0))))"),
    ("SIMD", "(module (func (result v128) (v128.const i32x4 1 2 3 4)))"),
    ("several results", "(module (func (result i32 i32) (i32.const 1) (i32.const 2)))"),
    ("bulk memory operations", "(module (memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 0))))"),
    ("sign extension", "(module (func (param i32) (result i32) (i32.extend8_s (local.get 0))))"),
    ("saturating conversions", "(module (func (param f32) (result i32) (i32.trunc_sat_f32_s (local.get 0))))"),
    ("64-bit memory", "(module (memory i64 1))"),
    (
        "all hooks",
        r#"(module (func $f)
        (export "canister_init" (func $f)) (export "canister_pre_upgrade" (func $f))
        (export "canister_post_upgrade" (func $f)) (export "canister_global_timer" (func $f))
        (export "canister_inspect_message" (func $f)) (export "canister_on_low_wasm_memory" (func $f))
        (export "canister_composite_query c" (func $f)))"#,
    ),
];

/// What a module may not have beyond [`modules::invalid`], which `tests/bad_input` installs.
const INVALID: [(&str, &str, &str); 12] = [
    (
        "the same method as query and as composite query",
        r#"(module (func $f) (export "canister_query a" (func $f)) (export "canister_composite_query a" (func $f)))"#,
        "more than once",
    ),
    (
        "the same method as update and as composite query",
        r#"(module (func $f) (export "canister_update a" (func $f)) (export "canister_composite_query a" (func $f)))"#,
        "more than once",
    ),
    ("a method that is no function", r#"(module (memory (export "canister_update a") 1))"#, "no function"),
    (
        "a method with a result",
        r#"(module (func (export "canister_query a") (result i32) (i32.const 1)))"#,
        "without parameters",
    ),
    ("a hook with a parameter", r#"(module (func (export "canister_heartbeat") (param i32)))"#, "without parameters"),
    ("a method without a space before its name", r#"(module (func (export "canister_updatea")))"#, "no entry point"),
    ("a start function with a parameter", "(module (func $s (param i32)) (start $s))", "no valid module"),
    ("an imported table", r#"(module (import "env" "table" (table 1 funcref)))"#, "imports"),
    ("an imported global", r#"(module (import "env" "global" (global i32)))"#, "imports"),
    ("an import of ic0 that is no function", r#"(module (import "ic0" "time" (global i64)))"#, "imports"),
    (
        "a 64-bit import in a 32-bit module",
        r#"(module (import "ic0" "msg_arg_data_size" (func (result i64))) (memory 1))"#,
        "wrong type",
    ),
    (
        "a 32-bit function in a 64-bit module",
        r#"(module (import "ic0" "stable_size" (func (result i32))) (memory i64 1))"#,
        "32-bit memory",
    ),
];

/// Names of custom sections of one module, and what a refusal says about them.
type Sections = (&'static str, &'static [&'static [u8]], Option<&'static str>);
const SECTIONS: &[Sections] = &[
    ("an empty name", &[b""], None),
    ("a name with spaces", &[b"name with spaces"], None),
    ("icp:public with an empty name", &[b"icp:public "], None),
    ("icp:public with spaces in its name", &[b"icp:public metadata section name"], None),
    ("icp:private", &[b"icp:private secret"], None),
    ("a name beyond ASCII", &[b"icp:public \xe2\x98\x83"], None),
    ("the same foreign name twice", &[b"name", b"name"], None),
    ("a name that is no UTF-8", &[b"icp:public \xe2\x28\xa1"], Some("")),
    ("icp: neither public nor private", &[b"icp:secret x"], Some("public or private")),
    ("the same public name twice", &[b"icp:public x", b"icp:public x"], Some("more than one")),
    ("the same private name twice", &[b"icp:private x", b"icp:private x"], Some("more than one")),
    ("the same name public and private", &[b"icp:public x", b"icp:private x"], Some("more than one")),
];

pub(super) fn add(c: &mut Cases) {
    c.group("modules");
    for (name, text) in VALID {
        c.case(format!("valid: {name}"), move |w| async move {
            let a = w.empty().await?;
            let module = modules::assemble(text);
            manage::done(a.deploy(CanisterInstallMode::Install, &module, Script::new()).await?)?;
            anyhow::ensure!(a.status().await?.module_hash.is_some(), "expected a module");
            Ok(())
        });
    }
    for (name, text, refusal) in INVALID {
        c.case(format!("invalid: {name}"), move |w| async move {
            let a = w.empty().await?;
            let ended = a.deploy(CanisterInstallMode::Install, &modules::assemble(text), Script::new()).await?;
            rejects(&ended, 5, refusal)?;
            anyhow::ensure!(a.status().await?.module_hash.is_none(), "expected no module");
            Ok(())
        });
    }
    for (name, names, refusal) in SECTIONS.iter().copied() {
        c.case(format!("custom sections: {name}"), move |w| async move {
            let mut module = Module::read(&modules::counter())?;
            for name in names {
                module = module.with_section(name, b"content");
            }
            let ended = w.empty().await?.deploy(CanisterInstallMode::Install, &module.wasm(), Script::new()).await?;
            match refusal {
                None => manage::done(ended).map(drop),
                Some(text) => rejects(&ended, 5, text),
            }
        });
    }
    c.case("16 icp: sections are taken, 17 are not", |w| async move {
        let with = |count: u8| -> Result<Vec<u8>> {
            let module = Module::read(&modules::counter())?;
            Ok((0..count)
                .fold(module, |module, index| {
                    module.with_section(&[b"icp:public ", &[b'a' + index][..]].concat(), b"x")
                })
                .wasm())
        };
        let a = w.empty().await?;
        rejects(&a.deploy(CanisterInstallMode::Install, &with(17)?, Script::new()).await?, 5, "16")?;
        manage::done(a.deploy(CanisterInstallMode::Install, &with(16)?, Script::new()).await?).map(drop)
    });
    c.case("1 MiB of icp: sections is taken, more is not", |w| async move {
        let with = |bytes: usize| -> Result<Vec<u8>> {
            Ok(Module::read(&modules::counter())?.with_section(b"icp:public n", &vec![0; bytes]).wasm())
        };
        let a = w.empty().await?;
        rejects(&a.deploy(CanisterInstallMode::Install, &with(1 << 20)?, Script::new()).await?, 5, "bytes")?;
        manage::done(a.deploy(CanisterInstallMode::Install, &with((1 << 20) - 1)?, Script::new()).await?).map(drop)
    });
    c.case("a start function that traps refuses the install", |w| async move {
        let module = modules::counter_that_starts_with("unreachable");
        let ended = w.empty().await?.deploy(CanisterInstallMode::Install, &module, Script::new()).await?;
        rejects(&ended, 5, "unreachable")
    });
    c.case("a start function runs before init, at installs and upgrades", |w| async move {
        let module = modules::counter_that_starts_with("(call $inc)");
        let a = w.empty().await?;
        manage::done(a.deploy(CanisterInstallMode::Install, &module, Script::new()).await?)?;
        same(manage::done(a.ask("get", vec![]).await?)?, 1u64.to_le_bytes())?;
        manage::done(a.deploy(CanisterInstallMode::Upgrade(None), &module, Script::new()).await?)?;
        same(manage::done(a.ask("get", vec![]).await?)?, 1u64.to_le_bytes())
    });
    c.case("methods with spaces and with an empty name can be called", |w| async move {
        let module = modules::assemble(
            r#"(module (import "ic0" "msg_reply" (func $r)) (func $f (call $r))
                (export "canister_update two words" (func $f)) (export "canister_query " (func $f)))"#,
        );
        let a = w.empty().await?;
        manage::done(a.deploy(CanisterInstallMode::Install, &module, Script::new()).await?)?;
        replies(&a.call("two words", vec![]).await?, "")?;
        replies(&a.ask("", vec![]).await?, "")
    });
    c.case("an upgrade to a module that is none changes nothing", |w| async move {
        let a = w.canister_that(keep("old")).await?;
        let ended = a.deploy(CanisterInstallMode::Upgrade(None), b"no module", Script::new()).await?;
        rejects(&ended, 5, "no valid module")?;
        same(a.look(reply(kept())).await?, "old")
    });
}
