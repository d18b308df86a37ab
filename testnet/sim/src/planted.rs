//! How many seeds it takes to find each defect that was planted: the simulator's own figure.

use crate::batch::batch;
use mains_engine::WasmtimeEngine;
use mains_types::planted::Defect;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// How a search ended.
#[derive(Clone, Debug)]
pub struct Found {
    /// What was planted.
    pub defect: Defect,
    /// The seed that showed it, and what it said; `None` if none of `played` did.
    pub by: Option<(u64, String)>,
    /// Seeds played until then.
    pub played: u64,
}

/// Plays seeds from 1 on until one fails, at most `most`.
#[cfg_attr(not(feature = "planted"), allow(unused_variables))]
pub fn search(defect: Defect, most: u64, threads: usize, engine: &Arc<WasmtimeEngine>) -> Found {
    #[cfg(feature = "planted")]
    mains_types::planted::choose(Some(defect));
    let found = AtomicBool::new(false);
    let next = |taken: u64| (taken < most && !found.load(Ordering::Relaxed)).then_some(taken + 1);
    let result = batch(threads, engine, next, None, |_, result, _| {
        found.fetch_or(result.is_err(), Ordering::Relaxed);
    });
    #[cfg(feature = "planted")]
    mains_types::planted::choose(None);
    let first = result.failures.into_iter().min_by_key(|failure| failure.options.seed);
    let by = first.map(|failure| {
        let what = failure.what.lines().next().unwrap_or_default().to_owned();
        (failure.options.seed, what)
    });
    let played = by.as_ref().map_or(result.seeds, |(seed, _)| *seed);
    Found { defect, by, played }
}
