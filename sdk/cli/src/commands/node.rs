//! `mains node …`.

use anyhow::Result;
use std::path::Path;

/// Runs the node in `dir` until SIGINT or SIGTERM.
pub(crate) fn run(dir: &Path, own_session: bool) -> Result<()> {
    if own_session {
        mains_local::own_session();
    }
    Ok(mains_operator::run(dir)?)
}
