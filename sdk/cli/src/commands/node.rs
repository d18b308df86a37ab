//! `mains node …`.

use anyhow::Result;
use std::path::Path;

/// Runs the node in `dir` until SIGINT or SIGTERM.
pub(crate) fn run(dir: &Path, own_session: bool, end_with_parent: bool) -> Result<()> {
    if own_session {
        mains_local::own_session();
    }
    if end_with_parent {
        mains_local::end_with_parent();
    }
    Ok(mains_operator::run(dir)?)
}
