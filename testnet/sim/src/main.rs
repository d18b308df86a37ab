//! Replays seeds: `cargo run --release -p mains-sim -- --seed N [--seeds COUNT]`.

use clap::Parser;
use mains_engine::WasmtimeEngine;
use std::{process::ExitCode, sync::Arc, time::Instant};

/// Simulates a subnet of four replicas with faults; everything follows from the seed.
#[derive(Parser)]
struct Options {
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How many seeds, one after another.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Log filter, e.g. `mains_replica=debug`.
    #[arg(long, default_value = "off")]
    log: String,
}

#[allow(clippy::print_stdout)]
fn main() -> ExitCode {
    let options = Options::parse();
    tracing_subscriber::fmt().with_env_filter(&options.log).with_writer(std::io::stderr).init();
    let engine = match WasmtimeEngine::new(None) {
        Ok(engine) => Arc::new(engine),
        Err(error) => {
            eprintln!("cannot start the Wasm engine: {error}");
            return ExitCode::from(2);
        }
    };
    let mut failures = 0;
    for seed in options.seed..options.seed.saturating_add(options.seeds) {
        let began = Instant::now();
        match mains_sim::run(seed, &engine) {
            Ok(report) => println!(
                "✓ seed {seed}: {} replies, height {}, {:.1} s simulated in {:.2} s, trace {}  [{:?}]",
                report.replies,
                report.height,
                report.simulated.as_secs_f64(),
                began.elapsed().as_secs_f64(),
                &report.trace[..16],
                report.scenario,
            ),
            Err(failure) => {
                println!("✗ {failure}");
                failures += 1;
            }
        }
    }
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
