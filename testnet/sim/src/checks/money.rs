//! S6: what is on all accounts adds up to what was made and not burned. Running totals are asserted by the replica at
//! every height; here everything is added up.

use mains_replica::View;
use std::sync::Arc;

/// Adds up everything.
///
/// # Errors
/// What does not add up.
pub fn check(views: &[Arc<View>]) -> Result<(), String> {
    for view in views {
        view.state.ledger.check_full().map_err(|broken| format!("S6: money at height {}: {broken}", view.height()))?;
    }
    Ok(())
}
