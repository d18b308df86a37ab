//! Makes a failing seed smaller: takes away whole faults and calls as long as it still fails.

use crate::{
    options::{Fault, Options},
    run::{Failure, play},
};
use mains_engine::WasmtimeEngine;
use std::sync::Arc;

/// The smallest options found that still fail, and how. `said` hears of every attempt.
pub fn shrink(first: Box<Failure>, engine: &Arc<WasmtimeEngine>, mut said: impl FnMut(&str)) -> Box<Failure> {
    let mut smallest = first;
    loop {
        let before = smallest.options.clone();
        for fault in Fault::ALL {
            if smallest.options.without.contains(&fault) {
                continue;
            }
            let mut without = smallest.options.without.clone();
            without.insert(fault);
            let mut options = Options::without(before.seed, &without);
            options.calls = smallest.options.calls;
            smallest = attempt(smallest, options, engine, &format!("without {}", fault.name()), &mut said);
        }
        while smallest.options.calls > 1 {
            let options = Options { calls: smallest.options.calls / 2, ..smallest.options.clone() };
            let calls = options.calls;
            smallest = attempt(smallest, options, engine, &format!("with {calls} calls"), &mut said);
            if smallest.options.calls != calls {
                break;
            }
        }
        if smallest.options == before {
            return smallest;
        }
    }
}

fn attempt(
    smallest: Box<Failure>,
    options: Options,
    engine: &Arc<WasmtimeEngine>,
    what: &str,
    said: &mut impl FnMut(&str),
) -> Box<Failure> {
    match play(&options, engine, false) {
        Ok(_) => {
            said(&format!("{what}: passes"));
            smallest
        }
        Err(failure) => {
            said(&format!("{what}: still fails: {}", failure.what.lines().next().unwrap_or_default()));
            failure
        }
    }
}
