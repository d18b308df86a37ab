//! Fresh seeds for every commit, every seed that ever failed, and the proof that a seed replays.

use mains_engine::WasmtimeEngine;
use mains_sim::log::Mark;
use std::{collections::BTreeSet, path::Path, process::Command, sync::Arc};

/// Fresh seeds that CI plays; the simulator's binary plays any other.
const SEEDS: u64 = 300;
/// How many of them are played twice.
const TWICE: u64 = 6;
/// Threads: what CI has.
const THREADS: usize = 2;

/// The first fresh seed: from the commit, so that every commit plays others and anybody can play the same.
fn base() -> u64 {
    let output = Command::new("git").args(["rev-parse", "HEAD"]).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let hash = output.ok().filter(|output| output.status.success()).map(|output| output.stdout).unwrap_or_default();
    let digits = String::from_utf8_lossy(&hash).chars().take(8).collect::<String>();
    u64::from_str_radix(&digits, 16).unwrap_or(1) * 1_000 + 1
}

/// Seeds in `testnet/regressions/seeds`: the number before the first dot of a file's name.
fn regressions() -> Vec<u64> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../regressions/seeds");
    let names =
        std::fs::read_dir(folder).expect("the folder is there").map(|entry| entry.expect("readable").file_name());
    names.filter_map(|name| name.to_string_lossy().split('.').next()?.parse().ok()).collect()
}

#[test]
fn fresh_seeds_and_old_failures_break_no_promise_reach_everything_and_replay_exactly() {
    mains_sim::log::install("off");
    let engine = Arc::new(WasmtimeEngine::new(None).expect("the Wasm engine starts"));
    let (base, old) = (base(), regressions());
    eprintln!("fresh seeds from {base}, {} old ones", old.len());
    let all: Vec<u64> = old.iter().copied().chain(base..base + SEEDS).collect();
    let next = |taken: u64| all.get(taken as usize).copied();
    let batch = mains_sim::batch(THREADS, &engine, next, None, |seed, result, _| {
        if let Ok(report) = result
            && (base..base + TWICE).contains(&seed)
        {
            assert_eq!(mains_sim::run(seed, &engine).as_ref(), Ok(report), "seed {seed} does not replay");
        }
    });
    let failures: Vec<String> = batch.failures.iter().map(ToString::to_string).collect();
    assert!(failures.is_empty(), "{} of {} failed:\n{}", failures.len(), batch.seeds, failures.join("\n"));
    let missing: BTreeSet<Mark> = Mark::ALL.into_iter().filter(|mark| !batch.marks.contains_key(mark)).collect();
    assert!(missing.is_empty(), "never happened in seeds from {base}: {missing:?}");
}
