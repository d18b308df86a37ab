//! What a seed means: which faults, when, and how much work. A scenario is a pure function of its seed.

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use std::time::Duration;

/// Replicas of a simulated subnet.
pub const REPLICAS: usize = 4;

/// The canister that clients call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// The shipped Rust counter.
    RustCounter,
    /// The shipped Motoko counter.
    MotokoCounter,
    /// A tiny hand-written counter: quick to compile, so that most seeds can use it.
    TinyCounter,
}

/// A fault that lasts from one moment to another, in simulated time since the clients began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// When it begins.
    pub from: Duration,
    /// When it ends.
    pub to: Duration,
}

/// What happens in one simulation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// The seed it follows from.
    pub seed: u64,
    /// One-way delay of a message, milliseconds.
    pub delay_ms: u64,
    /// Standard deviation of that delay, milliseconds.
    pub jitter_ms: u64,
    /// Messages lost, of 100.
    pub loss_percent: u32,
    /// Replicas 0 and 1 cannot reach 2 and 3, nor the other way round.
    pub partition: Option<Window>,
    /// One replica is killed and starts again on its disk.
    pub crash: Option<(usize, Window)>,
    /// What is called.
    pub workload: Workload,
    /// Increments that clients ask for.
    pub increments: u32,
    /// Clients that ask at the same time.
    pub clients: u32,
}

impl Scenario {
    /// The scenario of this seed. Every combination of faults comes up; seed 0 is the calm one.
    pub fn of(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let calm = seed == 0;
        let window = |rng: &mut StdRng| {
            let from = Duration::from_millis(rng.random_range(500..4_000));
            Window { from, to: from + Duration::from_millis(rng.random_range(2_000..8_000)) }
        };
        let delay_ms = if calm { 5 } else { [1, 5, 20, 60][rng.random_range(0..4)] };
        let loss_percent = if calm { 0 } else { [0, 2, 10, 20][rng.random_range(0..4)] };
        let partition = (!calm && rng.random_bool(0.5)).then(|| window(&mut rng));
        let crash = (!calm && rng.random_bool(0.6)).then(|| (rng.random_range(0..REPLICAS), window(&mut rng)));
        let workload = match seed % 10 {
            0 => Workload::RustCounter,
            5 => Workload::MotokoCounter,
            _ => Workload::TinyCounter,
        };
        Self {
            seed,
            delay_ms,
            jitter_ms: delay_ms / 4,
            loss_percent,
            partition,
            crash,
            workload,
            increments: rng.random_range(10..40),
            clients: rng.random_range(1..5),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_means_the_same_and_thirty_seeds_bring_every_fault() {
        let scenarios: Vec<Scenario> = (0..30).map(Scenario::of).collect();
        assert_eq!(scenarios, (0..30).map(Scenario::of).collect::<Vec<_>>());
        assert!(scenarios.iter().any(|scenario| scenario.loss_percent > 0));
        assert!(scenarios.iter().any(|scenario| scenario.delay_ms >= 60));
        assert!(scenarios.iter().any(|scenario| scenario.partition.is_some()));
        assert!(scenarios.iter().any(|scenario| scenario.crash.is_some()));
        assert!(scenarios.iter().any(|scenario| scenario.partition.is_some() && scenario.crash.is_some()));
        assert!(scenarios.iter().any(|scenario| scenario.workload == Workload::RustCounter));
        assert!(scenarios.iter().any(|scenario| scenario.workload == Workload::MotokoCounter));
    }
}
