//! Modules nobody should install: what validation accepts can be instrumented, compiled and run; what it refuses, it refuses in
//! our words. A failure of the engine panics, and that is what this looks for.

use mains_engine::WasmtimeEngine;
use mains_execution::engine::Engine;
use mains_fuzz::{Random, Target, Trace, fuzz, generate, generate_anything, hostile, mutate, trace};
use std::sync::LazyLock;

const INSTRUCTIONS: u64 = 20_000;

static ENGINE: LazyLock<WasmtimeEngine> =
    LazyLock::new(|| WasmtimeEngine::new(None).expect("an engine starts everywhere"));

struct Modules;

impl Target for Modules {
    const NAME: &'static str = "what_is_accepted_compiles_and_runs";
    const CORPUS: &'static str = "modules";

    fn input(&self, random: &mut Random, entries: &[Vec<u8>]) -> Vec<u8> {
        match random.below(8) {
            // Anything that WebAssembly has, beyond what canisters may use.
            0 => generate_anything(random),
            1 | 2 => {
                let module = generate(random);
                mutate(random, &[module])
            }
            3 => {
                let (_, make) = random.pick(&hostile::SHAPES);
                let (size, function) = (1 + random.below(500), 1 + random.below(300));
                let module = make(size, function);
                if random.one_in(2) { module } else { mutate(random, &[module]) }
            }
            _ => mutate(random, entries),
        }
    }

    fn check(&self, wasm: &[u8]) -> bool {
        match (ENGINE.inspect(wasm), trace(&*ENGINE, wasm, &[Vec::new()], INSTRUCTIONS)) {
            (Err(inspected), Trace::Refused(refused)) => {
                assert_eq!(inspected, refused);
                let text = refused.to_string();
                assert!(text.len() < 25_000 && !text.contains('\n'), "{} bytes: {text:?}", text.len());
                false
            }
            (Err(error), _) => panic!("refused and run: {error}"),
            (Ok(_), Trace::Refused(error)) => panic!("valid, and refused later: {error}"),
            (Ok(info), _) => {
                // Less than 64 bytes without anything to compile weigh nothing.
                assert!(info.compile_instructions > 0 || wasm.len() < 64);
                true
            }
        }
    }
}

#[test]
fn what_is_accepted_compiles_and_runs() {
    fuzz(&Modules);
}
