//! `mains call` and `mains query`.

use crate::{
    args::{CallArguments, Output, QueryArguments},
    candid_text::{self, Interface},
    context::{self, Context},
    terminal::{self, Colour},
};
use anyhow::{Context as _, Result, bail};
use mains_client::{Client, Outcome, report::NodeReport};
use mains_types::CanisterId;
use serde::Serialize;
use std::time::Instant;

/// A certified outcome for programs.
#[derive(Serialize)]
pub(crate) struct CallReport {
    canister: String,
    request_id: String,
    /// Candid text; absent if the call was rejected.
    reply: Option<String>,
    /// The same as bytes.
    reply_hex: Option<String>,
    /// Why the call was rejected.
    rejected: Option<String>,
    latency_ms: f64,
    /// Decimal: it may not fit a JSON number.
    cost_cycles: Option<String>,
    height: u64,
    certified: Certified,
}

/// What stands behind an outcome.
#[derive(Serialize)]
struct Certified {
    threshold: u32,
    members: usize,
    root_key: String,
}

pub(crate) async fn update(context: &Context, arguments: CallArguments) -> Result<()> {
    let client = context.connect().await?;
    let canister = context.canister(&client, &arguments.name)?;
    let interface = interface(&client, canister).await?;
    let argument = candid_text::encode_call(interface.as_ref(), &arguments.method, &arguments.candid)?;
    let waiting = terminal::spinner(format!("{}.{} ", arguments.name, arguments.method));
    let outcome = client.call(canister, &arguments.method, argument).await;
    waiting.finish_and_clear();
    let outcome = outcome?;
    context.remember(&client);
    let report = client.report().await?;
    if let Some(path) = &arguments.save_proof {
        let proof = outcome.proof(client.root_key(), &report.network).to_json();
        std::fs::write(path, proof).with_context(|| format!("cannot write {}", path.display()))?;
        context.note(format_args!("saved the proof: check it with `mains verify {}`", path.display()));
    }
    let reply = outcome
        .result
        .as_ref()
        .ok()
        .map(|reply| candid_text::decode_reply(interface.as_ref(), &arguments.method, reply));
    print(context, &client, canister, &outcome, reply, &report);
    match outcome.result {
        Ok(_) => Ok(()),
        Err(rejection) => bail!("rejected: {rejection}"),
    }
}

/// Prints a certified outcome in the form that was asked for.
pub(crate) fn print(
    context: &Context,
    client: &Client,
    canister: CanisterId,
    outcome: &Outcome,
    reply: Option<String>,
    node: &NodeReport,
) {
    match context.shared.output {
        Output::Json => terminal::json(&CallReport {
            canister: canister.to_text(),
            request_id: outcome.request_id.to_string(),
            reply_hex: outcome.result.as_ref().ok().map(hex::encode),
            reply,
            rejected: outcome.result.as_ref().err().map(ToString::to_string),
            latency_ms: outcome.latency.as_secs_f64() * 1e3,
            cost_cycles: outcome.cost.map(|cost| cost.to_string()),
            height: outcome.height.get(),
            certified: Certified {
                threshold: node.threshold,
                members: node.members.len(),
                root_key: hex::encode(client.root_key()),
            },
        }),
        Output::Candid | Output::Csv | Output::Html | Output::Jsonl => reply.into_iter().for_each(terminal::line),
        Output::Text => {
            reply.into_iter().for_each(terminal::line);
            if !context.shared.quiet {
                terminal::line(terminal::coloured(Colour::Grey, &facts(outcome, node)));
            }
        }
    }
}

/// `41.2 ms · 1,234,567 cycles · certified (3-of-4 threshold) at height 812`.
pub(crate) fn facts(outcome: &Outcome, node: &NodeReport) -> String {
    let latency = terminal::duration(outcome.latency);
    let cost = outcome.cost.map_or_else(|| "cost unknown".into(), |cost| format!("{} cycles", terminal::group(cost)));
    format!("{latency} · {cost} · {}", context::certified(node, outcome.height))
}

/// A query's answer for programs.
#[derive(Serialize)]
struct QueryReport {
    canister: String,
    reply: String,
    reply_hex: String,
    latency_ms: f64,
    signed_by: String,
}

pub(crate) async fn query(context: &Context, arguments: QueryArguments) -> Result<()> {
    let client = context.connect().await?;
    let canister = context.canister(&client, &arguments.name)?;
    let interface = interface(&client, canister).await?;
    let argument = candid_text::encode_call(interface.as_ref(), &arguments.method, &arguments.candid)?;
    let node = client.report().await?;
    let began = Instant::now();
    let reply = client.query(canister, &arguments.method, argument).await?;
    let latency = began.elapsed();
    let text = candid_text::decode_reply(interface.as_ref(), &arguments.method, &reply);
    match context.shared.output {
        Output::Json => terminal::json(&QueryReport {
            canister: canister.to_text(),
            reply: text,
            reply_hex: hex::encode(reply),
            latency_ms: latency.as_secs_f64() * 1e3,
            signed_by: node.node_id,
        }),
        Output::Candid | Output::Csv | Output::Html | Output::Jsonl => terminal::line(text),
        Output::Text => {
            terminal::line(text);
            if !context.shared.quiet {
                let facts = format!("{} · free · signed by one replica, not certified", terminal::duration(latency));
                terminal::line(terminal::coloured(Colour::Grey, &facts));
            }
        }
    }
    Ok(())
}

/// The interface that a canister publishes, if it does and it can be parsed.
async fn interface(client: &Client, canister: CanisterId) -> Result<Option<Interface>> {
    let text = client.metadata(canister, "candid:service").await?;
    Ok(text.and_then(|text| Interface::parse(std::str::from_utf8(&text).ok()?)))
}
