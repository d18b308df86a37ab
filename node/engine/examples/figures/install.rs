//! Installing a big module.

use crate::Result;
use crate::{
    kernels::timed,
    report::{Line, ratio, time},
};
use mains_engine::WasmtimeEngine;
use mains_execution::engine::Engine;
use std::{fmt::Write as _, time::Duration};

/// Functions of the module, so that it has about 3.5 MB.
const FUNCTIONS: u32 = 7_000;

/// A module of many functions, the same each time: arithmetic, memory, branches, loops and calls.
fn module() -> Result<Vec<u8>> {
    let mut text = String::from("(module (memory 16)\n");
    let mut seed = 1u32;
    let mut next = |below: u32| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) % below
    };
    for function in 0..FUNCTIONS {
        writeln!(text, "(func $f{function} (param $a i32) (param $b i64) (result i32) (local $c i32) (local $d i64)")?;
        for _ in 0..24 {
            let (at, constant) = (next(60_000), next(1 << 20));
            match next(6) {
                0 => writeln!(
                    text,
                    "(local.set $c (i32.add (i32.mul (local.get $a) (i32.const {constant})) (local.get $c)))"
                )?,
                1 => writeln!(
                    text,
                    "(i64.store offset={at} (i32.and (local.get $c) (i32.const 0xfff)) (i64.xor (local.get $b) (i64.const {constant})))"
                )?,
                2 => writeln!(
                    text,
                    "(local.set $d (i64.rotl (i64.load offset={at} (i32.and (local.get $a) (i32.const 0xff))) (local.get $d)))"
                )?,
                3 => writeln!(
                    text,
                    "(if (i32.lt_u (local.get $c) (i32.const {constant})) (then (local.set $a (i32.shr_u (local.get $c) (i32.const 3)))) (else (local.set $c (i32.wrap_i64 (local.get $d)))))"
                )?,
                4 => writeln!(
                    text,
                    "(loop $l{at} (local.set $c (i32.sub (local.get $c) (i32.const 7))) (br_if $l{at} (i32.gt_u (local.get $c) (i32.const 0xfffffff0))))"
                )?,
                _ if function > 0 => {
                    writeln!(text, "(local.set $c (call $f{} (local.get $c) (local.get $d)))", next(function))?
                }
                _ => {}
            }
        }
        writeln!(text, "(local.get $c))")?;
    }
    text.push_str("(func (export \"canister_update go\") (drop (call $f0 (i32.const 1) (i64.const 2)))))");
    Ok(wat::parse_str(text)?)
}

/// Validating, rewriting and compiling it; again from the node's disk; the floor is bare wasmtime's compiler.
pub(crate) fn measure() -> Result<Vec<Line>> {
    let module = module()?;
    let directory = tempfile::tempdir()?;
    let start = || WasmtimeEngine::new(Some(directory.path().join("modules")));
    let [mut first, mut again, mut bare] = [Duration::MAX; 3];
    for _ in 0..2 {
        let floor = wasmtime::Engine::default();
        let compile = || wasmtime::Module::new(&floor, &module).map(drop).map_err(|error| format!("{error}").into());
        bare = bare.min(timed(compile)?);
        let engine = WasmtimeEngine::new(None)?;
        first = first.min(timed(|| Ok(engine.module(&module).map(drop)?))?);
    }
    start()?.module(&module)?;
    for _ in 0..3 {
        let engine = start()?;
        again = again.min(timed(|| Ok(engine.module(&module).map(drop)?))?);
    }
    let name = format!("module of {:.1} MB: validate, rewrite, compile", module.len() as f64 / 1e6);
    Ok(vec![
        Line {
            name,
            figure: time(first),
            floor: format!("bare wasmtime compiles {}", time(bare)),
            ratio: ratio(first.as_secs_f64(), bare.as_secs_f64()),
            target: "-",
        },
        Line {
            name: "  the same after a restart, compiled module from disk".into(),
            figure: time(again),
            floor: "-".into(),
            ratio: ratio(again.as_secs_f64(), first.as_secs_f64()),
            target: "-",
        },
    ])
}
