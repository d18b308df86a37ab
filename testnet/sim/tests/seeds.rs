//! Thirty whole-network simulations with every kind of fault, and the proof that a seed replays.

use mains_engine::WasmtimeEngine;
use std::sync::Arc;

/// Seeds that CI plays; the simulator's binary plays any other.
const SEEDS: u64 = 32;
/// How many of them are played twice.
const TWICE: u64 = 6;

#[test]
fn thirty_seeds_of_loss_delay_partition_and_crash_break_no_promise_and_replay_exactly() {
    let engine = Arc::new(WasmtimeEngine::new(None).expect("the Wasm engine starts"));
    let mut failures = Vec::new();
    for seed in 0..SEEDS {
        match mains_sim::run(seed, &engine) {
            Ok(report) if seed < TWICE => {
                assert_eq!(mains_sim::run(seed, &engine).as_ref(), Ok(&report), "seed {seed} does not replay");
            }
            Ok(_) => {}
            Err(failure) => failures.push(failure.to_string()),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
