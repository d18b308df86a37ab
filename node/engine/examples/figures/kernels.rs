//! Small programs, rewritten by the node's pass against bare wasmtime: what counting costs.

use crate::Result;
use crate::{
    host::Alone,
    report::{Line, time},
};
use mains_engine::WasmtimeEngine;
use std::time::{Duration, Instant};

/// Rounds, in each of which every variant runs once; the shortest time of each counts.
const ROUNDS: usize = 60;

/// Name and body of `run`, which leaves 8 bytes of outcome at 0.
const KERNELS: [(&str, &str); 6] =
    [("fib", FIB), ("sha", SHA), ("sort", SORT), ("matmul", MATMUL), ("bytes", BYTES), ("copy", COPY)];

const FIB: &str = r#"
  (func $fib (param $n i32) (result i32)
    (if (result i32) (i32.lt_u (local.get $n) (i32.const 2)) (then (local.get $n))
      (else (i32.add (call $fib (i32.sub (local.get $n) (i32.const 1))) (call $fib (i32.sub (local.get $n) (i32.const 2)))))))
  (func $run (i32.store (i32.const 0) (call $fib (i32.const 26))))"#;

/// Rotations, additions and exclusive ors over 16 words, 40,000 rounds.
const SHA: &str = r#"
  (func $run (local $left i32) (local $at i32) (local $a i32) (local $b i32)
    (local.set $left (i32.const 40000)) (local.set $a (i32.const 0x6a09e667)) (local.set $b (i32.const 0xbb67ae85))
    (loop $round
      (local.set $at (i32.shl (i32.and (local.get $left) (i32.const 15)) (i32.const 2)))
      (local.set $a (i32.add
        (i32.xor (i32.xor (i32.rotr (local.get $a) (i32.const 6)) (i32.rotr (local.get $a) (i32.const 11))) (i32.rotr (local.get $a) (i32.const 25)))
        (i32.add (i32.load offset=64 (local.get $at)) (local.get $b))))
      (local.set $b (i32.xor (i32.and (local.get $a) (local.get $b)) (i32.and (i32.xor (local.get $a) (i32.const -1)) (i32.const 0x428a2f98))))
      (i32.store offset=64 (local.get $at) (i32.add (local.get $a) (i32.rotl (local.get $b) (i32.const 15))))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $round (local.get $left)))
    (i32.store (i32.const 0) (i32.xor (local.get $a) (local.get $b))))"#;

/// Shell sort of 20,000 pseudo-random words.
const SORT: &str = r#"
  (func $run (local $gap i32) (local $i i32) (local $j i32) (local $x i32) (local $seed i32)
    (local.set $seed (i32.const 12345))
    (loop $fill
      (local.set $seed (i32.add (i32.mul (local.get $seed) (i32.const 1664525)) (i32.const 1013904223)))
      (i32.store offset=1024 (i32.shl (local.get $i) (i32.const 2)) (local.get $seed))
      (br_if $fill (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 20000))))
    (local.set $gap (i32.const 9841))
    (loop $gaps
      (local.set $i (local.get $gap))
      (loop $outer
        (local.set $x (i32.load offset=1024 (i32.shl (local.get $i) (i32.const 2))))
        (local.set $j (local.get $i))
        (block $placed (loop $inner
          (br_if $placed (i32.lt_u (local.get $j) (local.get $gap)))
          (br_if $placed (i32.le_u (i32.load offset=1024 (i32.shl (i32.sub (local.get $j) (local.get $gap)) (i32.const 2))) (local.get $x)))
          (i32.store offset=1024 (i32.shl (local.get $j) (i32.const 2))
            (i32.load offset=1024 (i32.shl (i32.sub (local.get $j) (local.get $gap)) (i32.const 2))))
          (local.set $j (i32.sub (local.get $j) (local.get $gap)))
          (br $inner)))
        (i32.store offset=1024 (i32.shl (local.get $j) (i32.const 2)) (local.get $x))
        (br_if $outer (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 20000))))
      (br_if $gaps (local.tee $gap (i32.div_u (local.get $gap) (i32.const 3)))))
    (i32.store (i32.const 0) (i32.load (i32.const 41024))))"#;

/// Product of two matrices of 64 by 64 doubles, twice.
const MATMUL: &str = r#"
  (func $run (local $i i32) (local $j i32) (local $k i32) (local $sum f64) (local $again i32)
    (loop $fill
      (f64.store offset=1024 (i32.shl (local.get $i) (i32.const 3)) (f64.div (f64.convert_i32_u (local.get $i)) (f64.const 7)))
      (br_if $fill (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 8192))))
    (local.set $again (i32.const 4))
    (loop $repeat
      (local.set $i (i32.const 0))
      (loop $rows
        (local.set $j (i32.const 0))
        (loop $columns
          (local.set $k (i32.const 0)) (local.set $sum (f64.const 0))
          (loop $products
            (local.set $sum (f64.add (local.get $sum) (f64.mul
              (f64.load offset=1024 (i32.shl (i32.add (i32.shl (local.get $i) (i32.const 6)) (local.get $k)) (i32.const 3)))
              (f64.load offset=33792 (i32.shl (i32.add (i32.shl (local.get $k) (i32.const 6)) (local.get $j)) (i32.const 3))))))
            (br_if $products (i32.lt_u (local.tee $k (i32.add (local.get $k) (i32.const 1))) (i32.const 64))))
          (f64.store offset=66560 (i32.shl (i32.add (i32.shl (local.get $i) (i32.const 6)) (local.get $j)) (i32.const 3)) (local.get $sum))
          (br_if $columns (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 1))) (i32.const 64))))
        (br_if $rows (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 64))))
      (br_if $repeat (local.tee $again (i32.sub (local.get $again) (i32.const 1)))))
    (f64.store (i32.const 0) (f64.load (i32.const 70000))))"#;

/// Bytes copied and summed one by one.
const BYTES: &str = r#"
  (func $run (local $at i32) (local $sum i32)
    (loop $next
      (local.set $sum (i32.add (local.get $sum) (i32.load8_u offset=1024 (local.get $at))))
      (i32.store8 offset=524288 (local.get $at) (i32.add (local.get $sum) (local.get $at)))
      (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (i32.const 400000))))
    (i32.store (i32.const 0) (local.get $sum)))"#;

/// `memory.copy` of 256 bytes, many times.
const COPY: &str = r#"
  (func $run (local $left i32)
    (local.set $left (i32.const 20000))
    (loop $next
      (memory.copy (i32.add (i32.const 65536) (i32.and (i32.shl (local.get $left) (i32.const 8)) (i32.const 0xffff)))
        (i32.const 1024) (i32.const 256))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $next (local.get $left)))
    (i32.store (i32.const 0) (i32.const 1)))"#;

/// Runs each kernel in both ways, compares the outcomes, and shows the ratio of the shortest times.
pub(crate) fn measure() -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    let mut product = 1.0;
    for (name, body) in KERNELS {
        let text = format!(
            r#"(module (memory (export "m") 20) {body} (func (export "canister_update nothing")) (export "canister_update run" (func $run)))"#
        );
        let wasm = wat::parse_str(text)?;
        let engine = WasmtimeEngine::new(None)?;
        let mut canister = Alone::new(&engine, wasm.clone())?;
        let mut bare = Bare::new(&wasm)?;
        let [mut instrumented, mut floor, mut overhead] = [Duration::MAX; 3];
        for _ in 0..ROUNDS {
            // Pages are first written in the first round; the difference to a message without work is what the program took.
            overhead = overhead.min(timed(|| canister.update("nothing").map(drop))?);
            instrumented = instrumented.min(timed(|| canister.update("run").map(drop))?);
            floor = floor.min(timed(|| bare.run())?);
        }
        if canister.bytes(0, 8) != bare.bytes()? {
            return Err(format!("kernel {name} has two outcomes").into());
        }
        let instrumented = instrumented.saturating_sub(overhead);
        let by = instrumented.as_secs_f64() / floor.as_secs_f64();
        product *= by;
        lines.push(Line {
            name: format!("kernel {name}, rewritten, pages committed"),
            figure: time(instrumented),
            floor: format!("bare wasmtime {}", time(floor)),
            ratio: format!("{by:.2}x"),
            target: "-",
        });
    }
    lines.push(Line {
        name: "kernels, geometric mean".into(),
        figure: "-".into(),
        floor: "-".into(),
        ratio: format!("{:.2}x", f64::powf(product, 1.0 / KERNELS.len() as f64)),
        target: "1.3x",
    });
    Ok(lines)
}

pub(crate) fn timed(work: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let began = Instant::now();
    work()?;
    Ok(began.elapsed())
}

/// The same module on wasmtime as it comes.
struct Bare {
    store: wasmtime::Store<()>,
    run: wasmtime::TypedFunc<(), ()>,
    memory: wasmtime::Memory,
}

impl Bare {
    fn new(wasm: &[u8]) -> Result<Self> {
        let engine = wasmtime::Engine::default();
        let module = wasmtime::Module::new(&engine, wasm).map_err(|error| format!("{error}"))?;
        let mut store = wasmtime::Store::new(&engine, ());
        let instance = wasmtime::Instance::new(&mut store, &module, &[]).map_err(|error| format!("{error}"))?;
        let run = instance.get_typed_func(&mut store, "canister_update run").map_err(|error| format!("{error}"))?;
        let memory = instance.get_memory(&mut store, "m").ok_or("the kernel exports its memory")?;
        Ok(Self { store, run, memory })
    }

    fn run(&mut self) -> Result<()> {
        self.run.call(&mut self.store, ()).map_err(|error| format!("{error}").into())
    }

    fn bytes(&mut self) -> Result<Vec<u8>> {
        self.memory.data(&self.store).get(..8).map(<[u8]>::to_vec).ok_or_else(|| "8 bytes".into())
    }
}
