//! A node as a program: what `mains node up` is to an operator, for tests, which can only start binaries of their own crate.

use std::{path::PathBuf, process::ExitCode};

/// Runs the node that the process's arguments name, with a checkpoint every so many heights.
pub fn main(checkpoint_interval: u64) -> ExitCode {
    // An aborted test leaves nobody behind.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let directory = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["node", "up", .., "--dir", directory] => PathBuf::from(directory),
        _ => {
            eprintln!("usage: conformance-node node up --dir DIR");
            return ExitCode::from(2);
        }
    };
    match mains_operator::node::run_with(&directory, checkpoint_interval) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
