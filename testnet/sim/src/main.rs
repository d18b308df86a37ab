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
    time::{Duration, Instant},
};

/// Simulates subnets with faults and liars; everything follows from the seed.
#[derive(Parser)]
struct Arguments {
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
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
    /// Plants a defect and looks for it: its name, or `all`; prints the table of specs/promises.md. Needs a build with the
    /// feature `planted`.
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
    if let Some(which) = &arguments.planted {
        return find(&arguments, which, &engine);
    }
    if let Some(hours) = arguments.hours {
        return soak(&arguments, hours, &engine);
    }
    if arguments.seeds > 1 {
        let last = arguments.seed.saturating_add(arguments.seeds);
        let next = |taken: u64| Some(arguments.seed + taken).filter(|seed| *seed < last);
        return told(&many(&arguments, &engine, next, None));
    }
    one(&arguments, &engine)
}

#[allow(clippy::print_stdout)]
fn one(arguments: &Arguments, engine: &Arc<WasmtimeEngine>) -> ExitCode {
    let without: BTreeSet<Fault> = arguments.without.iter().copied().collect();
    let mut options = Options::without(arguments.seed, &without);
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

#[allow(clippy::print_stdout)]
fn find(arguments: &Arguments, which: &str, engine: &Arc<WasmtimeEngine>) -> ExitCode {
    if !planted::POSSIBLE {
        eprintln!(
            "this build holds no defects: cargo run --release -p mains-sim --features planted -- --planted {which}"
        );
        return ExitCode::from(2);
    }
    println!("| planted defect | seeds to find it | what the simulator says |\n|---|---|---|");
    let mut missed = 0;
    for defect in Defect::ALL.iter().filter(|defect| which == "all" || format!("{defect:?}") == which) {
        let found = mains_sim::planted::search(*defect, arguments.most, arguments.threads, engine);
        let (seeds, what) = match found.by {
            Some((_, what)) => (found.played.to_string(), what),
            None => (format!("not in {}", found.played), String::new()),
        };
        missed += usize::from(what.is_empty());
        println!("| {} | {seeds} | {} |", defect.what().trim_end_matches('.'), what.replace('|', "/"));
    }
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[allow(clippy::print_stdout)]
fn soak(arguments: &Arguments, hours: f64, engine: &Arc<WasmtimeEngine>) -> ExitCode {
    let began = Instant::now();
    let until = began + Duration::from_secs_f64(hours * 3_600.0);
    let batch = many(arguments, engine, |taken| Some(arguments.seed + taken), Some(until));
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
