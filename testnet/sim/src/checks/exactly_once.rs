//! S4: every increment ran exactly once, however often it was sent, whoever proposed it, whatever was undone around it.
//!
//! The model is a number: increments answer 1, 2, ..., n, each once. Calls that trap add a thousand before they do, so a
//! page that is not rolled back shows here too.

use crate::{canister, checks::replies::Certified, options::Workload};

/// Checks the replies of all increments.
///
/// # Errors
/// They are not 1, 2, ..., n.
pub fn check(workload: Workload, increments: &Certified, expected: usize) -> Result<(), String> {
    if increments.len() != expected {
        return Err(format!("S4: {} of {expected} increments have a certified reply", increments.len()));
    }
    let mut values = Vec::new();
    for reply in increments.values() {
        values.push(canister::value(workload, reply).ok_or("S4: a reply is no number")?);
    }
    values.sort_unstable();
    if values != (1..=expected as u64).collect::<Vec<_>>() {
        return Err(format!("S4: each increment must run exactly once, but the replies were {values:?}"));
    }
    Ok(())
}
