//! What compiling costs against what is charged for it: shapes made to be slow, at growing sizes, beside the shipped examples.
//! With what looking at the module takes, what its code takes on disk, and what loading it from there takes.
//! `cargo run --release -p mains-fuzz --example compile-cost [-- SHAPE|FILE.wasm [OPERATORS [OPERATORS_PER_FUNCTION]]]`

use mains_engine::WasmtimeEngine;
use mains_execution::engine::Engine;
use mains_fuzz::hostile::SHAPES;
use std::time::{Duration, Instant};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let only = arguments.next();
    if let Some(path) = only.as_ref().filter(|only| only.ends_with(".wasm")) {
        let wasm = std::fs::read(path).expect("a file");
        eprintln!("{}", shape(&wasm));
        return measure(path, &wasm);
    }
    let mut number = |default: usize| arguments.next().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (size, function) = (number(200_000), number(0));
    eprintln!(
        "{:28} {:>9} {:>12} {:>9} {:>10} {:>14} {:>9} {:>11} {:>9}",
        "module", "bytes", "priced", "cpu ms", "wall ms", "ns cpu/1000 in", "look us", "disk bytes", "load us"
    );
    for name in ["counter-rust", "probe-rust", "counter-motoko"] {
        let path = format!("{}/../../sdk/examples/prebuilt/{name}.wasm", env!("CARGO_MANIFEST_DIR"));
        if let (Ok(wasm), None) = (std::fs::read(path), &only) {
            measure(name, &wasm);
        }
    }
    for (name, make) in SHAPES {
        if only.as_ref().is_none_or(|only| name.contains(only.as_str())) {
            let functions = if function == 0 { vec![200, 5_000, 50_000] } else { vec![function] };
            for function in functions {
                measure(&format!("{name}/{function}"), &make(size, function));
            }
        }
    }
}

fn measure(name: &str, wasm: &[u8]) {
    let directory = tempfile::tempdir().expect("a directory");
    let start = || WasmtimeEngine::new(Some(directory.path().to_owned())).expect("the engine starts");
    let engine = start();
    let began = Instant::now();
    let looked = engine.inspect(wasm);
    let look = began.elapsed();
    let (wall, cpu) = (Instant::now(), cpu_time());
    if let Err(error) = looked.and_then(|_| engine.module(wasm)) {
        return eprintln!("{name:28} {:>9} refused after {} ms: {error}", wasm.len(), look.as_millis());
    }
    let (wall, cpu) = (wall.elapsed(), cpu_time() - cpu);
    let files = std::fs::read_dir(directory.path()).expect("the engine made it");
    let disk: u64 = files.map(|file| file.and_then(|file| file.metadata()).expect("a file").len()).sum();
    let engine = start();
    let began = Instant::now();
    let info = engine.module(wasm).expect("it is kept");
    let load = began.elapsed();
    let ratio = cpu.as_nanos() as u64 / (info.compile_instructions / 1_000).max(1);
    eprintln!(
        "{name:28} {:>9} {:>12} {:>9} {:>10} {ratio:>14} {:>9} {disk:>11} {:>9}",
        wasm.len(),
        info.compile_instructions,
        cpu.as_millis(),
        wall.as_millis(),
        look.as_micros(),
        load.as_micros()
    );
}

/// What of a module matters to a compiler: the most that one function has of each.
fn shape(wasm: &[u8]) -> String {
    let (mut functions, mut operators, mut locals, mut blocks, mut nesting, mut loops, mut targets) =
        (0, 0, 0, 0, 0, 0, 0);
    for payload in wasmparser::Parser::new(0).parse_all(wasm) {
        let Ok(wasmparser::Payload::CodeSectionEntry(body)) = payload else { continue };
        functions += 1;
        let declared =
            body.get_locals_reader().expect("locals").into_iter().map(|group| group.expect("a group").0).sum();
        locals = locals.max(declared);
        let (mut open, mut here, mut starts, mut reached) = (Vec::new(), 0, 0, 0);
        for operator in body.get_operators_reader().expect("a body") {
            here += 1;
            match operator.expect("an operator") {
                wasmparser::Operator::Loop { .. } => open.push(1),
                wasmparser::Operator::Block { .. } | wasmparser::Operator::If { .. } => open.push(0),
                wasmparser::Operator::End => drop(open.pop()),
                wasmparser::Operator::BrTable { targets } => reached += targets.len(),
                _ => continue,
            }
            starts += 1;
            (nesting, loops) = (nesting.max(open.len()), loops.max(open.iter().sum::<usize>()));
        }
        (operators, blocks, targets) = (operators.max(here), blocks.max(starts), targets.max(reached));
    }
    format!(
        "{functions} functions; most in one: {operators} operators, {locals} locals, {blocks} control operators, {nesting} blocks \
         nested, {loops} loops nested, {targets} targets of tables"
    )
}

/// Time that this process has used on all processors: wall time says more about the neighbours.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    // utime and stime, in hundredths of a second.
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}
