//! Whether any operation is priced below what it costs: `mains-bench --prices [--core-month CREDITS]`.
//!
//! Every operation is measured in one replica without consensus: what the payer was charged, against the time it took. That time
//! costs an operator what a core costs ([`cost`]): below 1 that, the operator would lose by every such operation, and the program
//! fails. It is worth, too, what ordinary code of the same time is charged: that ratio shows how even prices are.

mod cost;
mod managed;
mod operators;
mod waking;

pub(crate) use cost::CORE_MONTH_CREDITS;

use crate::{
    alone::Alone,
    report::{Line, time},
};
use anyhow::{Result, bail, ensure};
use cost::Worth;
use mains_execution::Call;
use mains_ledger::Resource;
use mains_types::CanisterId;
use operators::Operator;
use std::time::Duration;

/// Rounds; the shortest time of each operation counts.
const ROUNDS: usize = 5;

/// Everything that is tried. Each method reads how often it shall do its work from its argument (4 bytes, little endian).
const WORKS: &str = include_str!("prices/works.wat");

/// The same of a canister with a heap of 1 GiB.
const FAR_WORKS: &str = include_str!("prices/far.wat");

/// An operation: how often the method does its work in one message, and how many messages.
const OPERATIONS: &[(&str, &str, u32, usize)] = &[
    ("message without work", "nothing", 0, 256),
    ("message that traps at once", "fail", 0, 256),
    ("message to a method that is not there", "nowhere", 0, 256),
    ("argument of 1 MiB, copied", "argument", 1 << 18, 8),
    ("reply of 2 MiB", "reply", 2 << 20, 8),
    ("divisions of 64 bits", "divide", 20_000_000, 1),
    ("square roots and divisions of doubles", "root", 20_000_000, 1),
    ("calls through a table", "indirect", 20_000_000, 1),
    ("`br_table` that nobody foresees", "branches", 20_000_000, 1),
    ("loads all over 64 MiB", "miss", 20_000_000, 1),
    ("memory.fill of 1 MiB", "fill", 200, 1),
    ("one word written in each of 16,000 pages", "touch", 16_000, 1),
    ("the same, 10 pages in a message", "touch", 10, 256),
    ("the same in 16,000 pages, and then a trap", "touch_fail", 16_000, 1),
    ("the same in 16,000 pages by a query called as an update", "touch_query", 16_000, 1),
    ("16,000 pages written with what they held", "rewrite", 16_000, 1),
    ("`memory.grow` by nothing", "sizes", 1_000_000, 1),
    ("system call `time`", "system", 2_000_000, 1),
    ("system call `canister_cycle_balance128`", "balance", 2_000_000, 1),
    ("system call `global_timer_set`", "timers", 2_000_000, 1),
    ("`debug_print` of 1 KiB", "print", 20_000, 1),
    ("`debug_print` of nothing", "lines", 200_000, 1),
    ("`certified_data_set`, 256 messages", "certify", 1, 256),
    ("stable memory, 64 MiB written", "stable_write", 1_000, 1),
    ("stable memory, a byte in each of 16,000 pages", "stable_scatter", 16_000, 1),
    ("stable memory, 64 MiB read", "stable_read", 1_000, 1),
    ("stable memory grown by 1 page, 64 messages", "grow", 1, 64),
    ("`memory.grow` and a trap, heap of 64 MiB", "grow_fail", 0, 8),
];

/// Operations whose price is below cost, why it stays so, and how far below it is at most. Nothing else may be.
const BELOW: &[(&str, &str, f64)] =
    &[(managed::FAILING_TRANSFERS, "nobody pays: a block takes 250 such calls at most, senders take turns", 0.0)];

/// What an operation was charged and how long it took.
struct Measured {
    name: String,
    charged: u128,
    elapsed: Duration,
}

/// Measures; fails if an operation is charged less than it costs.
pub(crate) fn measure(core_month_credits: f64) -> Result<Vec<Line>> {
    let works = wat::parse_str(WORKS)?;
    let mut alone = Alone::new()?;
    let (canister, _, _) = alone.canister(&works)?;
    let prepare = ["grow", "links"].map(|method| call(&mut alone, canister, method, 2_000)).into();
    alone.run(prepare)?;
    let unit = repeated(&mut alone, canister, "ordinary code", "mix", 20_000_000, 1)?;
    let worth = Worth::new(core_month_credits, alone.state().ledger.tariff().nodes, (unit.charged, unit.elapsed));
    let mut all = vec![unit];
    // Before anything disturbs the chain of links.
    all.push(repeated(
        &mut alone,
        canister,
        "loads all over 64 MiB, each waiting for the one before",
        "follow",
        200_000,
        1,
    )?);
    for (name, method, work, messages) in OPERATIONS {
        all.push(repeated(&mut alone, canister, name, method, *work, *messages)?);
    }
    let (large, _, _) = alone.canister(&wat::parse_str(FAR_WORKS)?)?;
    let links = call(&mut alone, large, "links", 0);
    alone.run(vec![links])?;
    for (name, method) in [
        ("loads all over 1 GiB, each waiting for the one before", "follow"),
        ("loads all over 1 GiB, none waiting", "scatter"),
    ] {
        all.push(repeated(&mut alone, large, name, method, 200_000, 1)?);
    }
    all.extend(waking::measure(&mut alone)?);
    for operator in &operators::ALL {
        let (canister, _, _) = alone.canister(&wat::parse_str(operator.module())?)?;
        all.push(repeated(&mut alone, canister, operator.name, "run", Operator::ROUNDS, 1)?);
    }
    all.extend(managed::measure(&mut alone, canister, &works)?);
    all.push(repeated(&mut alone, canister, "ordinary code, again", "mix", 20_000_000, 1)?);
    let lines: Vec<_> = all.iter().map(|measured| line(&worth, measured)).collect();
    let below: Vec<_> = all.iter().filter(|measured| is_below(&worth, measured)).collect();
    if below.is_empty() {
        return Ok(lines);
    }
    crate::report::print(&lines);
    bail!("priced below cost: {}", below.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join("; "))
}

fn line(worth: &Worth, measured: &Measured) -> Line {
    let Measured { name, charged, elapsed } = measured;
    Line {
        name: name.clone(),
        figure: format!("{charged} cycles"),
        floor: format!("{}, costs {:.0} cycles", time(*elapsed), worth.cost(*elapsed)),
        ratio: format!(
            "{:.2}x, {:.2}x of ordinary code",
            worth.over_cost(*charged, *elapsed),
            worth.over_ordinary(*charged, *elapsed)
        ),
        target: known(measured).map_or("1x", |(_, why, _)| why),
    }
}

/// An operation that is known to be priced below cost, why, and the least that it may be charged over cost.
fn known(measured: &Measured) -> Option<&'static (&'static str, &'static str, f64)> {
    BELOW.iter().find(|(name, _, _)| *name == measured.name)
}

fn is_below(worth: &Worth, measured: &Measured) -> bool {
    worth.over_cost(measured.charged, measured.elapsed) < known(measured).map_or(1.0, |(_, _, least)| *least)
}

fn call(alone: &mut Alone, canister: CanisterId, method: &str, work: u32) -> Call {
    let bytes = if method == "argument" { vec![1; 4 * work as usize] } else { work.to_le_bytes().to_vec() };
    alone.call(canister, method, bytes)
}

/// What a canister was ever charged for work; what it keeps costs apart from that.
fn charged(alone: &Alone, canister: &CanisterId) -> u128 {
    let account = alone.state().ledger.canister(canister).cloned().unwrap_or_default();
    account.charged() - account.meter(Resource::StorageByteSeconds).charged
}

/// Runs an operation some times, whatever it answers; per round, the shortest time and what was charged then.
fn repeated(
    alone: &mut Alone,
    canister: CanisterId,
    name: &str,
    method: &str,
    work: u32,
    messages: usize,
) -> Result<Measured> {
    shortest(name, || {
        let calls = (0..messages).map(|_| call(alone, canister, method, work)).collect();
        let before = charged(alone, &canister);
        let (outcomes, elapsed) = alone.attempt(calls)?;
        let fails = method.ends_with("fail") || method == "nowhere";
        ensure!(outcomes.iter().all(|outcome| outcome.is_err() == fails), "{name}: {:?}", outcomes.first());
        Ok((charged(alone, &canister) - before, elapsed))
    })
}

/// The shortest of some rounds.
fn shortest(name: &str, mut round: impl FnMut() -> Result<(u128, Duration)>) -> Result<Measured> {
    let mut best: Option<Measured> = None;
    for _ in 0..ROUNDS {
        let (charged, elapsed) = round()?;
        if best.as_ref().is_none_or(|best| elapsed < best.elapsed) {
            best = Some(Measured { name: name.into(), charged, elapsed });
        }
    }
    best.ok_or_else(|| anyhow::anyhow!("nothing was measured"))
}
