//! The same module on two engines: machine code and an interpreter. Whatever execution can see must be equal: outcomes, counts of
//! instructions, heaps, globals, replies, logs, stable memory.

use mains_engine::{Target as Compiled, WasmtimeEngine};
use mains_fuzz::{Random, Target, Trace, fuzz, generate, trace};
use std::{fs, sync::LazyLock};

/// Instructions of one run of a module written for this; generated ones, of which there are many, get less.
const KEPT_INSTRUCTIONS: u64 = 3_000_000;
const GENERATED_INSTRUCTIONS: u64 = 100_000;
/// Instructions of one run of a shipped example.
const EXAMPLE_INSTRUCTIONS: u64 = 200_000_000;

/// Machine code first.
static ENGINES: LazyLock<[WasmtimeEngine; 2]> = LazyLock::new(|| {
    [Compiled::Native, Compiled::Pulley]
        .map(|target| WasmtimeEngine::with_target(None, target).expect("both targets work everywhere"))
});

/// The trace that both engines give.
pub(crate) fn agreed(wasm: &[u8], arguments: &[Vec<u8>], instructions: u64) -> Trace {
    let [native, interpreted] = ENGINES.each_ref().map(|engine| trace(engine, wasm, arguments, instructions));
    if let (Trace::Ran(native), Trace::Ran(interpreted)) = (&native, &interpreted) {
        for (native, interpreted) in native.iter().zip(interpreted) {
            assert_eq!(native, interpreted, "machine code (left) and interpreter (right) differ");
        }
    }
    assert_eq!(native, interpreted);
    native
}

/// `DIDL`, no types, no arguments; and nothing.
fn arguments() -> [Vec<u8>; 2] {
    [b"DIDL\0\0".to_vec(), b"some bytes that are no candid".to_vec()]
}

struct Differential;

impl Target for Differential {
    const NAME: &'static str = "generated_modules_do_the_same_on_both_engines";
    const CORPUS: &'static str = "modules";

    fn input(&self, random: &mut Random, _: &[Vec<u8>]) -> Vec<u8> {
        generate(random)
    }

    fn check(&self, wasm: &[u8]) -> bool {
        matches!(agreed(wasm, &arguments()[..1], GENERATED_INSTRUCTIONS), Trace::Ran(_))
    }
}

#[test]
fn generated_modules_do_the_same_on_both_engines() {
    fuzz(&Differential);
}

#[test]
fn kept_modules_do_the_same_on_both_engines_and_are_worth_it() {
    let kept = mains_fuzz::corpus(Differential::CORPUS);
    assert!(kept.len() >= 14);
    for (name, wasm) in kept.iter().filter(|(name, _)| name.ends_with(".wat")) {
        let trace = agreed(wasm, &arguments(), KEPT_INSTRUCTIONS);
        match &trace {
            Trace::Ran(steps) => {
                let [succeeded, trapped] =
                    [true, false].map(|ok| steps.iter().filter(|step| step.outcome.is_ok() == ok).count());
                eprintln!("{name}: {} runs, {succeeded} to their end, {trapped} trapped", steps.len());
                assert!(trapped > 0 && steps.iter().any(|step| step.instructions > 0), "{name} does nothing");
            }
            Trace::NotInstantiated(trap) => assert!(name.ends_with("-outside.wat"), "{name}: {trap:?}"),
            Trace::Refused(error) => panic!("{name}: {error}"),
        }
    }
}

#[test]
fn shipped_examples_do_the_same_on_both_engines() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/examples/prebuilt");
    let mut examples = 0;
    for file in fs::read_dir(folder).expect("the examples are shipped") {
        let path = file.expect("readable").path();
        if path.extension().is_none_or(|extension| extension != "wasm") {
            continue;
        }
        let wasm = fs::read(&path).expect("readable");
        let Trace::Ran(steps) = agreed(&wasm, &arguments(), EXAMPLE_INSTRUCTIONS) else {
            panic!("{}: does not run", path.display());
        };
        let instructions: u64 = steps.iter().map(|step| step.instructions).sum();
        eprintln!("{}: {} runs, {instructions} instructions", path.display(), steps.len());
        assert!(steps.iter().any(|step| step.outcome.is_ok()));
        examples += 1;
    }
    assert!(examples > 0);
}
