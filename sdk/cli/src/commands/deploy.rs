//! `mains deploy`.

use crate::{
    args::{DeployArguments, DeployMode},
    candid_text::{self, Interface},
    commands::call,
    context::Context,
    module::{self, Remarks},
    terminal::{self, Colour},
};
use anyhow::{Context as _, Result, bail};
use mains_client::{Client, management::Install};
use mains_types::{CanisterId, Cycles};
use serde::Serialize;

#[derive(Serialize)]
struct DeployReport {
    name: String,
    canister: String,
    mode: &'static str,
    height: u64,
    cost_cycles: Option<String>,
    /// Where its pages are, if it has any.
    url: Option<String>,
}

pub(crate) async fn run(context: &Context, arguments: DeployArguments) -> Result<()> {
    let wasm = std::fs::read(&arguments.wasm).with_context(|| format!("cannot read {}", arguments.wasm.display()))?;
    if !wasm.starts_with(b"\0asm") && !wasm.starts_with(&[0x1f, 0x8b]) {
        bail!(
            "{} is no Wasm module: build one, for example with `cargo build --target wasm32-unknown-unknown --release`",
            arguments.wasm.display()
        );
    }
    let name = match arguments.name {
        Some(name) => name,
        None => arguments
            .wasm
            .file_stem()
            .and_then(|stem| stem.to_str())
            .context("name the canister with --name")?
            .to_owned(),
    };
    let remarks = module::remarks(&wasm);
    let argument = encode_init(&remarks, &arguments.arg)?;

    let client = context.connect().await?;
    let known = context.canister(&client, &name).ok();
    // An earlier deployment may have made the canister and failed to install.
    let is_empty = match known {
        Some(canister) if arguments.mode.is_none() => client.module_hash(canister).await?.is_none(),
        _ => false,
    };
    let install = match (arguments.mode, known) {
        (None | Some(DeployMode::Install), None) | (Some(DeployMode::Install), Some(_)) => Install::Fresh,
        (None, Some(_)) if is_empty => Install::Fresh,
        (None | Some(DeployMode::Upgrade), Some(_)) => Install::Upgrade { keep_heap: remarks.keeps_heap },
        (Some(DeployMode::Reinstall), Some(_)) => Install::Reinstall,
        (Some(_), None) => bail!("there is no canister `{name}` here yet: leave --mode away"),
    };
    let canister = match known {
        Some(canister) => canister,
        None => create(context, &client, &name, Cycles(arguments.cycles)).await?,
    };

    let waiting = terminal::spinner(format!("installing {name} "));
    let installed = put(&client, canister, install, &wasm, argument).await;
    waiting.finish_and_clear();
    let outcome = installed?;
    context.remember(&client);
    let mode = match install {
        Install::Fresh => "installed",
        Install::Reinstall => "reinstalled",
        Install::Upgrade { .. } => "upgraded",
    };
    let url = remarks.serves_pages.then(|| pages(client.url(), canister));
    if context.is_json() {
        terminal::json(&DeployReport {
            name,
            canister: canister.to_text(),
            mode,
            height: outcome.height.get(),
            cost_cycles: outcome.cost.map(|cost| cost.to_string()),
            url,
        });
        return Ok(());
    }
    terminal::line(format_args!("{mode} {name}  {canister}"));
    if let Some(url) = url {
        terminal::line(format_args!("open {url}"));
    }
    if !context.shared.quiet {
        terminal::line(terminal::coloured(Colour::Grey, &call::facts(&outcome, &client.report().await?)));
    }
    Ok(())
}

/// Where a node at `api` serves a canister's pages: below `localhost` each canister has a host name of its own.
fn pages(api: &str, canister: CanisterId) -> String {
    let api = api.trim_end_matches('/');
    match api.strip_prefix("http://127.0.0.1").or_else(|| api.strip_prefix("http://localhost")) {
        Some(port) => format!("http://{canister}.localhost{port}/"),
        None => format!("{api}/?canisterId={canister}"),
    }
}

/// Creates a canister and remembers its name at once, so that a failed installation can be repeated.
async fn create(context: &Context, client: &Client, name: &str, cycles: Cycles) -> Result<CanisterId> {
    context.fund(client, cycles).await?;
    let (canister, _) = client.create_canister(cycles).await?;
    context.home.set_name(client.root_key(), name, &canister.to_text())?;
    Ok(canister)
}

/// Installs code; an upgrade waits for open calls first, as their callbacks belong to the old code.
async fn put(
    client: &Client,
    canister: CanisterId,
    install: Install,
    wasm: &[u8],
    argument: Vec<u8>,
) -> Result<mains_client::Outcome> {
    let is_upgrade = matches!(install, Install::Upgrade { .. });
    if is_upgrade {
        client.stop_canister(canister).await?.reply()?;
    }
    let outcome = client.install(canister, install, wasm, argument).await;
    if is_upgrade {
        // Whatever became of the upgrade: the canister runs on, on the new code or the old.
        client.start_canister(canister).await?.reply()?;
    }
    let outcome = outcome?;
    if let Err(rejection) = &outcome.result {
        bail!("rejected: {rejection}");
    }
    Ok(outcome)
}

fn encode_init(remarks: &Remarks, argument: &str) -> Result<Vec<u8>> {
    match remarks.interface.as_deref().and_then(Interface::parse) {
        Some(interface) => interface.encode_init(argument),
        None => candid_text::encode_call(None, "init", argument),
    }
}
