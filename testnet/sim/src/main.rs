//! Plays seeds: `cargo run --release -p mains-sim -- --seed N`. Spec: `specs/simulation.md`.

use clap::Parser;
use mains_engine::WasmtimeEngine;
use mains_sim::{Batch, Fault, Options, batch, log, play, shrink};
use mains_types::planted::{self, Defect};
use std::{
    collections::BTreeSet,
    io::{BufRead as _, Write as _},
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// More seeds than are played in a second: two runs of --hours never play the same.
const SEEDS_A_SECOND: u64 = 1_000;

/// Simulates subnets with faults and liars; everything follows from the seed.
#[derive(Parser)]
struct Arguments {
    /// The first seed: 0 if not given, with --hours one that follows from the time.
    #[arg(long)]
    seed: Option<u64>,
    /// How many seeds.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Plays fresh seeds for this many hours and prints how many it played in an hour.
    #[arg(long)]
    hours: Option<f64>,
    /// Threads.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Takes parts of the seed away, e.g. `loss,crashes`.
    #[arg(long, value_delimiter = ',')]
    without: Vec<Fault>,
    /// Makes this many calls instead of the seed's number.
    #[arg(long)]
    calls: Option<u32>,
    /// Looks for the smallest options with which the seed still fails.
    #[arg(long)]
    shrink: bool,
    /// Prints the seed's events one by one; Enter goes on, q ends.
    #[arg(long)]
    step: bool,
    /// With --step: prints everything up to the first block of this height without asking.
    #[arg(long)]
    until: Option<u64>,
    /// Plants a defect and looks for it: its name, or `all`; prints the table of specs/promises.md. With --seed it plays that seed
    /// with the defect. Needs a build with the feature `planted`.
    #[arg(long)]
    planted: Option<String>,
    /// With --planted: seeds to play at most for one defect.
    #[arg(long, default_value_t = 2_000)]
    most: u64,
    /// Log filter, e.g. `mains_replica=debug`.
    #[arg(long, default_value = "off")]
    log: String,
}

#[allow(clippy::print_stdout)]
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    log::install(&arguments.log);
    let engine = match WasmtimeEngine::new(None) {
        Ok(engine) => Arc::new(engine),
        Err(error) => {
            eprintln!("cannot start the Wasm engine: {error}");
            return ExitCode::from(2);
        }
    };
    if let Some(which) = &arguments.planted
        && let Some(code) = find(&arguments, which, &engine)
    {
        return code;
    }
    if let Some(hours) = arguments.hours {
        return soak(&arguments, hours, &engine);
    }
    if arguments.seeds > 1 {
        let first = arguments.seed.unwrap_or_default();
        let last = first.saturating_add(arguments.seeds);
        let next = |taken: u64| first.checked_add(taken).filter(|seed| *seed < last);
        return told(&many(&arguments, &engine, next, None));
    }
    one(&arguments, &engine)
}

#[allow(clippy::print_stdout)]
fn one(arguments: &Arguments, engine: &Arc<WasmtimeEngine>) -> ExitCode {
    let without: BTreeSet<Fault> = arguments.without.iter().copied().collect();
    let mut options = Options::without(arguments.seed.unwrap_or_default(), &without);
    options.calls = arguments.calls.unwrap_or(options.calls);
    println!("{options:#?}");
    let began = Instant::now();
    let (events, code) = match play(&options, engine, arguments.step) {
        Ok(report) => {
            println!(
                "✓ {} replies, height {}, {:.1} s simulated in {:.2} s, trace {}\n  {:?}",
                report.replies,
                report.height,
                report.simulated.as_secs_f64(),
                began.elapsed().as_secs_f64(),
                report.trace,
                report.marks,
            );
            (if arguments.step { report.events } else { Vec::new() }, ExitCode::SUCCESS)
        }
        Err(failure) => {
            println!("✗ {failure}");
            let failure = match arguments.shrink {
                true => shrink::shrink(failure, engine, |attempt| println!("  {attempt}")),
                false => failure,
            };
            if arguments.shrink {
                println!("the smallest that still fails:\n✗ {failure}");
            }
            (failure.events, ExitCode::FAILURE)
        }
    };
    walk(&events, arguments);
    code
}

/// Prints events, one at a time if somebody steps through them.
#[allow(clippy::print_stdout)]
fn walk(events: &[log::Entry], arguments: &Arguments) {
    let mut free = !arguments.step || arguments.until.is_some();
    let stop = arguments.until.map(|height| format!("executed height {height} "));
    let mut answers = std::io::stdin().lock().lines();
    for event in events {
        print!("{:>10.3} s  {}", event.at.as_secs_f64(), event.text);
        if arguments.step && stop.as_ref().is_some_and(|stop| event.text.contains(stop)) {
            free = false;
        }
        if free {
            println!();
            continue;
        }
        let _ = std::io::stdout().flush();
        match answers.next() {
            Some(Ok(answer)) if answer.trim() == "q" => return,
            Some(Ok(_)) => {}
            _ => {
                println!();
                free = true;
            }
        }
    }
}

/// Looks for defects; `None` if one was planted for a seed that is to be played.
#[allow(clippy::print_stdout)]
fn find(arguments: &Arguments, which: &str, engine: &Arc<WasmtimeEngine>) -> Option<ExitCode> {
    if !planted::POSSIBLE {
        eprintln!(
            "this build holds no defects: cargo run --release -p mains-sim --features planted -- --planted {which}"
        );
        return Some(ExitCode::from(2));
    }
    let chosen: Vec<Defect> =
        Defect::ALL.iter().copied().filter(|defect| which == "all" || format!("{defect:?}") == which).collect();
    if chosen.is_empty() {
        eprintln!("no defect is called {which}; there are {:?}", Defect::ALL);
        return Some(ExitCode::from(2));
    }
    #[cfg(feature = "planted")]
    if arguments.seed.is_some() {
        planted::choose(chosen.first().copied());
        return None;
    }
    println!("| planted defect | seeds to find it | what the simulator says |\n|---|---|---|");
    let mut missed = 0;
    for defect in chosen {
        let found = mains_sim::planted::search(defect, arguments.most, arguments.threads, engine);
        let (seeds, what) = match found.by {
            Some((_, what)) => (found.played.to_string(), what),
            None => (format!("not in {}", found.played), String::new()),
        };
        missed += usize::from(what.is_empty());
        println!("| {} | {seeds} | {} |", defect.what().trim_end_matches('.'), what.replace('|', "/"));
    }
    Some(if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[allow(clippy::print_stdout)]
fn soak(arguments: &Arguments, hours: f64, engine: &Arc<WasmtimeEngine>) -> ExitCode {
    let began = Instant::now();
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let first = arguments.seed.unwrap_or(seconds * SEEDS_A_SECOND);
    println!("seeds from {first} on");
    let until = Duration::try_from_secs_f64(hours * 3_600.0).ok().and_then(|duration| began.checked_add(duration));
    let batch = many(arguments, engine, |taken| first.checked_add(taken), until);
    let rate = batch.seeds as f64 / began.elapsed().as_secs_f64() * 3_600.0;
    println!("{rate:.0} seeds an hour on {} threads", arguments.threads);
    told(&batch)
}

#[allow(clippy::print_stdout)]
fn many(
    arguments: &Arguments,
    engine: &Arc<WasmtimeEngine>,
    next: impl Fn(u64) -> Option<u64> + Sync,
    until: Option<Instant>,
) -> Batch {
    batch(arguments.threads, engine, next, until, |seed, result, took| match result {
        Ok(report) => println!(
            "✓ seed {seed}: {} members, height {}, {:.1} s simulated in {:.2} s, trace {}",
            report.options.members,
            report.height,
            report.simulated.as_secs_f64(),
            took.as_secs_f64(),
            &report.trace[..16],
        ),
        Err(failure) => println!("✗ {failure}"),
    })
}

#[allow(clippy::print_stdout)]
fn told(batch: &Batch) -> ExitCode {
    println!(
        "{} seeds, {} failed, {:.0} s simulated, slowest {} in {:.2} s\nreached: {:?}",
        batch.seeds,
        batch.failures.len(),
        batch.simulated.as_secs_f64(),
        batch.slowest.0,
        batch.slowest.1.as_secs_f64(),
        batch.marks,
    );
    if batch.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
