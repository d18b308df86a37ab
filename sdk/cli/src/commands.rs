//! One drawer per noun.

mod bill;
mod call;
mod canister;
mod deploy;
mod earnings;
mod identity;
mod module;
pub(crate) mod node;
mod tariff;
mod testnet;
mod verify;

pub(crate) use testnet::interrupted;

use crate::{
    args::{BillArguments, Command, NodeCommand, Output, Shared},
    context::Context,
    demo,
};
use anyhow::{Result, ensure};

/// Runs a command that needs no runtime of its own.
pub(crate) async fn run(shared: Shared, command: Command) -> Result<()> {
    let (output, quiet) = (shared.output, shared.quiet);
    let is_known = match output {
        Output::Text | Output::Json | Output::Candid => true,
        Output::Csv => matches!(command, Command::Bill(_) | Command::Node(NodeCommand::Journal(_))),
        Output::Html => matches!(command, Command::Bill(_)),
        Output::Jsonl => matches!(command, Command::Node(NodeCommand::Journal(_))),
    };
    ensure!(is_known, "this command does not print that form: choose text or json with -o");
    let context = Context::new(shared);
    match command {
        Command::Demo(arguments) => demo::run(context?, arguments).await,
        Command::Testnet(command) => testnet::run(context?, command).await,
        Command::Identity(command) => identity::run(&context?, command),
        Command::Deploy(arguments) => deploy::run(&context?, arguments).await,
        Command::Call(arguments) => call::update(&context?, arguments).await,
        Command::Query(arguments) => call::query(&context?, arguments).await,
        Command::Canister(command) => canister::run(&context?, command).await,
        Command::Module(command) => module::run(&context?, command),
        Command::Tariff { estimate } => tariff::run(&context?, estimate.as_deref()).await,
        Command::Node(NodeCommand::Earnings { of }) => earnings::run(&context?, of).await,
        // Neither does this.
        Command::Bill(BillArguments { command: Some(command), .. }) => bill::verify(command),
        Command::Bill(arguments) => bill::run(&context?, arguments).await,
        // Works without a home: it reads one file and asks nobody.
        Command::Verify(arguments) => verify::run(arguments),
        // Needs no home either: a node's operator is nobody's client.
        Command::Node(command) => node::run(command, output, quiet).await,
    }
}
