//! Many canisters with one module that nobody calls.

use crate::{
    Result, canisters,
    report::{Line, ratio, time},
    subnet::Subnet,
};
use candid::Encode;
use mains_state::State;
use mains_types::CanisterId;
use std::time::{Duration, Instant};

/// Blocks of each kind.
const BLOCKS: usize = 50;
/// Canisters that are made before the others, to compare with.
const FEW: usize = 64;

/// Makes canisters, wakes each once, and looks at bytes and times in between.
pub(crate) fn measure(canisters_count: usize) -> Result<Vec<Line>> {
    let mut subnet = Subnet::new()?;
    let few = make(&mut subnet, FEW)?;
    call(&mut subnet, &few)?;
    let idle_few = blocks(&mut subnet, |_| Vec::new())?;
    let live = call_again(&mut subnet, &few[..1])?;
    let base = resident_bytes()?;
    let mut lines = Vec::new();

    let began = Instant::now();
    let many = make(&mut subnet, canisters_count)?;
    let making = began.elapsed();
    let fresh = resident_bytes()?;
    let count = canisters_count as f64;
    let mut bytes = |what: &str, now: u64| {
        let each = now.saturating_sub(base) as f64 / count;
        lines.push(line(
            &format!("{canisters_count} sleeping canisters, {what}"),
            format!("{:.1} kB each, {} MB resident", each / 1e3, now / 1_000_000),
            format!("module {} kB", canisters::COUNTER.len() / 1_000),
            ratio(each, canisters::COUNTER.len() as f64),
            "20 kB; 2.5 GB for 100,000",
        ));
    };
    bytes("installed", fresh);

    let waking = call(&mut subnet, &many)? / canisters_count as u32;
    bytes("called once", resident_bytes()?);

    let idle_many = blocks(&mut subnet, |_| Vec::new())?;
    let encoded = subnet.state().encode();
    let encoding = minimum(3, || subnet.state().encode().len());
    let root = subnet.state().root();
    drop(subnet.state.take());
    let began = Instant::now();
    let state = State::decode(&encoded)?;
    let decoding = began.elapsed();
    if state.root() != root {
        return Err("a restored state has another root".into());
    }
    let encoded_bytes = encoded.len();
    drop(encoded);
    subnet.state = Some(state);
    bytes("restored from a checkpoint", resident_bytes()?);

    let text = |duration: Duration| time(duration);
    lines.push(line(
        "message that wakes a canister, all in",
        text(waking),
        text(live),
        ratio(waking.as_secs_f64(), live.as_secs_f64()),
        "50 us",
    ));
    lines.push(line("  peer: the same message on a live canister", text(live), "-".into(), "-".into(), "-"));
    lines.push(line(
        &format!("block without work, {canisters_count} canisters"),
        text(idle_many),
        format!("{FEW} canisters: {}", text(idle_few)),
        ratio(idle_many.as_secs_f64(), idle_few.as_secs_f64()),
        "1x",
    ));
    lines.push(line("create and install, each", text(making / canisters_count as u32), "-".into(), "-".into(), "-"));
    lines.push(line(
        "checkpoint: encoding, decoding",
        format!("{}, {} ({} MB)", text(encoding), text(decoding), encoded_bytes / 1_000_000),
        "-".into(),
        "-".into(),
        "-",
    ));
    Ok(lines)
}

fn line(name: &str, figure: String, floor: String, ratio: String, target: &'static str) -> Line {
    Line { name: name.into(), figure, floor, ratio, target }
}

fn make(subnet: &mut Subnet, count: usize) -> Result<Vec<CanisterId>> {
    let made = subnet.create(count)?;
    subnet.install(&made, canisters::COUNTER)?;
    Ok(made)
}

/// Calls each canister once; the time of all blocks.
fn call(subnet: &mut Subnet, canisters: &[CanisterId]) -> Result<Duration> {
    let argument = Encode!()?;
    let calls = canisters.iter().map(|id| subnet.call(*id, "inc", argument.clone())).collect();
    Ok(subnet.run(calls)?.1)
}

/// Time of one message on live canisters.
fn call_again(subnet: &mut Subnet, canisters: &[CanisterId]) -> Result<Duration> {
    let many: Vec<CanisterId> = canisters.iter().copied().cycle().take(256).collect();
    let mut best = Duration::MAX;
    for _ in 0..5 {
        best = best.min(call(subnet, &many)? / many.len() as u32);
    }
    Ok(best)
}

/// The shortest time of blocks with these calls.
fn blocks(subnet: &mut Subnet, mut calls: impl FnMut(&mut Subnet) -> Vec<mains_execution::Call>) -> Result<Duration> {
    let mut best = Duration::MAX;
    for _ in 0..BLOCKS {
        let calls = calls(subnet);
        best = best.min(subnet.block(calls));
    }
    Ok(best)
}

fn minimum<T>(times: usize, mut work: impl FnMut() -> T) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..times {
        let began = Instant::now();
        std::hint::black_box(work());
        best = best.min(began.elapsed());
    }
    best
}

/// Resident bytes of this process.
fn resident_bytes() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("VmRSS")?;
    Ok(line.split_whitespace().nth(1).ok_or("VmRSS")?.parse::<u64>()? * 1024)
}
