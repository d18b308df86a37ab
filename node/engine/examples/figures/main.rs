//! Figures of one replica's execution without consensus and network: each beside a floor or a peer of the same run.
//!
//! `cargo run --release -p mains-engine --example figures -- sleeping [COUNT] | messages | kernels | install`. Findings:
//! `specs/benchmarks.md`. Apart from `testnet/bench`, which measures a whole network, so that it builds without one.

mod canisters;
mod host;
mod install;
mod kernels;
mod messages;
mod report;
mod sleeping;
mod subnet;

/// What can go wrong in a measurement: its text is all that matters.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Canisters of the measurement of sleeping ones, unless told otherwise.
const SLEEPING: usize = 2_000;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let work = || match arguments.first().map(String::as_str) {
        Some("sleeping") => sleeping::measure(arguments.get(1).map_or(Ok(SLEEPING), |count| count.parse())?),
        Some("messages") => messages::measure(),
        Some("kernels") => kernels::measure(),
        Some("install") => install::measure(),
        _ => Err("say what: sleeping [COUNT], messages, kernels or install".into()),
    };
    report::print(&mains_engine::on_big_stack(work)?);
    Ok(())
}
