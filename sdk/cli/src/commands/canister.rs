//! `mains canister …`.

use crate::{
    args::CanisterCommand,
    commands::call,
    context::Context,
    terminal::{self, Colour},
};
use anyhow::Result;
use mains_client::{Client, management, utility::CallPolicy};
use mains_types::CanisterId;
use serde::Serialize;

/// The public section that says who signed the module.
const PUBLISHER: &str = "mains:publisher";

#[derive(Serialize)]
struct Status {
    id: String,
    status: String,
    version: u64,
    module_hash: Option<String>,
    /// Who signed the module, certified.
    publisher: Option<String>,
    controllers: Vec<String>,
    cycles: String,
    idle_cycles_per_day: String,
    freezing_threshold_seconds: String,
    memory_bytes: String,
    compute_allocation_percent: String,
    /// Limits on calls from outside, if it has any.
    call_policy: Option<CallPolicy>,
}

pub(crate) async fn run(context: &Context, command: CanisterCommand) -> Result<()> {
    let client = context.connect().await?;
    match command {
        CanisterCommand::Status { name } => {
            let canister = context.canister(&client, &name)?;
            print(context, &status(&client, canister).await?);
        }
        CanisterCommand::List => list(context, &client).await?,
        CanisterCommand::Limit { name, cycles_per_hour, calls_per_caller, none: _ } => {
            let canister = context.canister(&client, &name)?;
            let outcome = client.set_call_policy(canister, cycles_per_hour, calls_per_caller).await?;
            call::print(context, &client, canister, &outcome, Some("limited".into()), &client.report().await?);
            outcome.reply()?;
        }
        CanisterCommand::Start { name } => {
            let canister = context.canister(&client, &name)?;
            let outcome = client.start_canister(canister).await?;
            call::print(context, &client, canister, &outcome, Some("started".into()), &client.report().await?);
            outcome.reply()?;
        }
        CanisterCommand::Stop { name } => {
            let canister = context.canister(&client, &name)?;
            let outcome = client.stop_canister(canister).await?;
            call::print(context, &client, canister, &outcome, Some("stopped".into()), &client.report().await?);
            outcome.reply()?;
        }
    }
    Ok(())
}

async fn status(client: &Client, canister: CanisterId) -> Result<Status> {
    let found = client.canister_status(canister).await?;
    let published = client.metadata(canister, PUBLISHER).await?;
    let number = |number: &candid::Nat| management::cycles(number).to_string();
    Ok(Status {
        id: canister.to_text(),
        status: format!("{:?}", found.status).to_lowercase(),
        version: found.version,
        module_hash: found.module_hash.map(hex::encode),
        publisher: published.and_then(|text| String::from_utf8(text).ok()),
        controllers: found.settings.controllers.iter().map(|controller| controller.to_text()).collect(),
        cycles: number(&found.cycles),
        idle_cycles_per_day: number(&found.idle_cycles_burned_per_day),
        freezing_threshold_seconds: number(&found.settings.freezing_threshold),
        memory_bytes: number(&found.memory_size),
        compute_allocation_percent: number(&found.settings.compute_allocation),
        call_policy: client.call_policy(canister).await?,
    })
}

fn print(context: &Context, status: &Status) {
    if context.is_json() {
        return terminal::json(status);
    }
    let row = |name: &str, value: String| vec![terminal::coloured(Colour::Grey, name), value];
    let mut rows = vec![
        row("canister", status.id.clone()),
        row("status", status.status.clone()),
        row("version", status.version.to_string()),
        row("module", status.module_hash.clone().unwrap_or_else(|| "none".into())),
    ];
    if status.module_hash.is_some() {
        rows.push(row("publisher", status.publisher.clone().unwrap_or_else(|| "none, it is not signed".into())));
    }
    rows.extend(status.controllers.iter().map(|controller| row("controller", controller.clone())));
    rows.extend([
        row("cycles", terminal::group(&status.cycles)),
        row("idle cost", format!("{} cycles per day", terminal::group(&status.idle_cycles_per_day))),
        row("memory", format!("{} bytes", terminal::group(&status.memory_bytes))),
        row("frozen below", format!("the idle cost of {} s", terminal::group(&status.freezing_threshold_seconds))),
    ]);
    rows.extend(status.call_policy.iter().flat_map(limits).map(|limit| row("outside calls", limit)));
    terminal::table(&rows);
}

/// What limits there are on calls from outside.
fn limits(policy: &CallPolicy) -> Vec<String> {
    let grouped = |number: &candid::Nat| terminal::group(management::cycles(number));
    let spent = grouped(&policy.spent);
    let cycles = policy.cycles_per_hour.iter().map(|most| format!("{} cycles an hour, {spent} spent", grouped(most)));
    let calls = policy.calls_per_caller_per_hour.iter().map(|most| format!("{most} an hour for each caller"));
    cycles.chain(calls).collect()
}

async fn list(context: &Context, client: &Client) -> Result<()> {
    let canisters = client.canisters().await?;
    if context.is_json() {
        terminal::json(&canisters);
        return Ok(());
    }
    let names = context.home.names(client.root_key())?;
    let name = |id: &str| names.iter().find(|(_, known)| *known == id).map_or("", |(name, _)| name.as_str()).to_owned();
    let heading = ["NAME", "CANISTER", "STATUS", "CYCLES", "MEMORY"].map(String::from).to_vec();
    let rows = canisters.iter().map(|canister| {
        let state = if canister.module_hash.is_some() { canister.status.clone() } else { "empty".into() };
        vec![
            name(&canister.id),
            canister.id.clone(),
            state,
            terminal::group(&canister.cycles),
            terminal::group(canister.memory_bytes),
        ]
    });
    terminal::table(&std::iter::once(heading).chain(rows).collect::<Vec<_>>());
    Ok(())
}
