//! `mains`: everything a person does with a Mains network, in one binary.
//!
//! Parses, calls the rooms that know how, and prints. Exit codes: 0 done, 1 failed, 2 wrong usage. Results go to stdout,
//! progress and errors to stderr; an expected error is one line that says what to do. Spec: `specs/interface.md`.

mod args;
mod candid_text;
mod commands;
mod context;
mod demo;
mod home;
mod launcher;
mod module;
mod moment;
mod plots;
mod shipped;
mod terminal;

use args::{Arguments, Command, NodeCommand};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    if launcher::is_asked_for(std::env::args_os().nth(1)) {
        return launcher::main();
    }
    let arguments = Arguments::parse();
    let result = match arguments.command {
        // The node builds its own runtime.
        Command::Node(NodeCommand::Up(arguments)) => commands::node::up(&arguments),
        command => on_runtime(commands::run(arguments.shared, command)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::error(&error);
            ExitCode::FAILURE
        }
    }
}

fn on_runtime(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(command)
}
