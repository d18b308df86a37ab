//! Plays many seeds on several threads and adds up what they reached.

use crate::{
    log::Marks,
    run::{Failure, Report, run},
};
use mains_engine::WasmtimeEngine;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// What a batch showed.
#[derive(Default)]
pub struct Batch {
    /// Seeds played.
    pub seeds: u64,
    /// Failures, in no order.
    pub failures: Vec<Failure>,
    /// What was reached.
    pub marks: Marks,
    /// Simulated time of all seeds together.
    pub simulated: Duration,
    /// The slowest seed and its time.
    pub slowest: (u64, Duration),
}

/// Plays the seeds that `next` gives until it gives none, or until `until`; `seen` hears of every one.
pub fn batch(
    threads: usize,
    engine: &Arc<WasmtimeEngine>,
    next: impl Fn(u64) -> Option<u64> + Sync,
    until: Option<Instant>,
    seen: impl Fn(u64, &Result<Report, Box<Failure>>, Duration) + Sync,
) -> Batch {
    let taken = AtomicU64::new(0);
    let batch = Mutex::new(Batch::default());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while until.is_none_or(|until| Instant::now() < until)
                    && let Some(seed) = next(taken.fetch_add(1, Ordering::Relaxed))
                {
                    let began = Instant::now();
                    let result = run(seed, engine);
                    let took = began.elapsed();
                    seen(seed, &result, took);
                    let mut batch = batch.lock().expect("no holder panics");
                    batch.seeds += 1;
                    if took > batch.slowest.1 {
                        batch.slowest = (seed, took);
                    }
                    match result {
                        Ok(report) => {
                            batch.simulated += report.simulated;
                            for (mark, count) in report.marks {
                                *batch.marks.entry(mark).or_default() += count;
                            }
                        }
                        Err(failure) => batch.failures.push(*failure),
                    }
                }
            });
        }
    });
    batch.into_inner().expect("no holder panics")
}
