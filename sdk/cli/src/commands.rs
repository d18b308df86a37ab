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
    args::{Command, NodeCommand, Shared},
    context::Context,
    demo,
};
use anyhow::Result;

/// Runs a command that needs no runtime of its own.
pub(crate) async fn run(shared: Shared, command: Command) -> Result<()> {
    let (output, quiet) = (shared.output, shared.quiet);
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
        Command::Bill { name } => bill::run(&context?, &name).await,
        // Works without a home: it reads one file and asks nobody.
        Command::Verify(arguments) => verify::run(arguments),
        // Needs no home either: a node's operator is nobody's client.
        Command::Node(command) => node::run(command, output, quiet).await,
    }
}
