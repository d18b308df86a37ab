//! Log lines: people's form on a terminal, JSON elsewhere if asked for; a panic anywhere ends the process in order.

use crate::damage;
use std::{io::IsTerminal as _, path::PathBuf};
use tracing_subscriber::EnvFilter;

/// Exit code after a failed invariant: the replica stopped before it signed anything wrong.
pub const EXIT_INVARIANT: i32 = 70;

/// Starts logging to standard error with `filter` (overridden by the environment variable `MAINS_LOG`).
pub fn start(filter: &str) {
    let filter = std::env::var("MAINS_LOG").unwrap_or_else(|_| filter.to_owned());
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let is_terminal = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(is_terminal).with_writer(std::io::stderr);
    let _ = if std::env::var_os("MAINS_LOG_JSON").is_some() { builder.json().try_init() } else { builder.try_init() };
}

/// Turns a panic on any thread or task into an exit of the whole process: half a replica must not go on. If it is about a
/// damaged file of the chain, `note` says so from then on.
pub fn exit_on_panic(note: PathBuf) {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        report(info);
        let words = info.to_string();
        if info.location().is_some_and(|place| damage::is_found(place.file(), &words)) {
            if let Err(error) = std::fs::write(&note, &words) {
                tracing::error!(%error, "the damage cannot be noted down in {}", note.display());
            }
            tracing::error!(
                "a file of the chain is damaged: start this node again, and it gets the chain from the others"
            );
            std::process::exit(EXIT_INVARIANT);
        }
        tracing::error!(%info, "an invariant failed: this node stops. Please report the lines above");
        std::process::exit(EXIT_INVARIANT);
    }));
}
