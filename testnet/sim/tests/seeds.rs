//! Fresh seeds for every commit, every seed that ever failed, and the proof that a seed replays; and what a dead leader and a slow
//! disk cost: `cargo test --release -p mains-sim --test seeds a_ -- --nocapture` prints the figures of specs/promises.md.

use mains_engine::WasmtimeEngine;
use mains_sim::{dead_leader::dead_leader, log::Mark, slow_disk::slow_disk};
use std::{collections::BTreeSet, path::Path, process::Command, sync::Arc, time::Duration};

/// Fresh seeds that CI plays; the simulator's binary plays any other.
const SEEDS: u64 = 300;
/// How many of them are played twice.
const TWICE: u64 = 6;
/// Threads: what CI has.
const THREADS: usize = 2;
/// The leader timeout of the simulated subnet, and what the next view takes at most beside messages.
const LEADER_TIMEOUT: Duration = Duration::from_millis(1_200);
const SLACK: Duration = Duration::from_millis(60);

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
    let missing: BTreeSet<Mark> = Mark::EXPECTED.into_iter().filter(|mark| !batch.marks.contains_key(mark)).collect();
    assert!(missing.is_empty(), "never happened in seeds from {base}: {missing:?}");
}

#[test]
fn a_dead_leader_costs_one_leader_timeout_and_then_hardly_anything() {
    let engine = Arc::new(WasmtimeEngine::new(None).expect("the Wasm engine starts"));
    for (delay_ms, clients) in [(1, 8), (5, 8), (20, 8), (100, 8), (20, 0)] {
        let cost = dead_leader(&engine, delay_ms, clients);
        let (first, later) = cost.dead.split_first().expect("it had to lead");
        let worst = later.iter().max().copied().unwrap_or_default();
        eprintln!(
            "{delay_ms} ms one way, {clients} clients: blocks every {:?}; with the dead leader's first view {first:?}, its {} later ones {worst:?} at most",
            cost.block,
            later.len()
        );
        let messages = Duration::from_millis(delay_ms) * 6;
        assert!(*first <= LEADER_TIMEOUT + cost.block + messages + SLACK, "{delay_ms} ms, {clients} clients: {cost:?}");
        assert!(later.len() >= 3, "{delay_ms} ms, {clients} clients: {cost:?}");
        assert!(worst <= cost.block + messages + SLACK, "{delay_ms} ms, {clients} clients: {cost:?}");
    }
}

#[test]
fn a_slow_disk_costs_two_leader_timeouts_and_then_hardly_anything() {
    mains_sim::log::install("off");
    let engine = Arc::new(WasmtimeEngine::new(None).expect("the Wasm engine starts"));
    for (by_ms, delay_ms) in [(200, 1), (200, 20)] {
        let cost = slow_disk(&engine, Duration::from_millis(by_ms), delay_ms, 8);
        let usual = cost.before * 2 + SLACK;
        let stalls = cost.stalls(Duration::ZERO, usual);
        eprintln!(
            "{by_ms} ms more for a sync, {delay_ms} ms one way: blocks every {:?} at most before; of {} with the slow disk these took longer: {stalls:?}; {:?} at most after, {} views lost; {} and then {} heights behind; stood back and took part again {:?} times",
            cost.before,
            cost.slow.len(),
            cost.after,
            cost.lost,
            cost.behind,
            cost.behind_after,
            cost.stood_back,
        );
        let messages = Duration::from_millis(delay_ms) * 12;
        let late = cost.stalls(LEADER_TIMEOUT * 2 + messages + SLACK, usual);
        assert!(late.is_empty(), "{by_ms} ms, {delay_ms} ms: {late:?}");
        let longest = stalls.iter().map(|(_, took)| *took).max().unwrap_or_default();
        assert!(longest <= LEADER_TIMEOUT + cost.before + messages + SLACK, "{by_ms} ms, {delay_ms} ms: {longest:?}");
        assert!(
            cost.stood_back.0 >= 1 && cost.stood_back.0 == cost.stood_back.1,
            "{by_ms} ms, {delay_ms} ms: {cost:?}"
        );
        assert!(cost.after <= usual && cost.lost == 0 && cost.behind_after <= 2, "{by_ms} ms, {delay_ms} ms: {cost:?}");
    }
}
