//! `mains verify`: reads one file, asks nobody.

use crate::{
    args::VerifyArguments,
    candid_text,
    terminal::{self, Colour},
};
use anyhow::{Context as _, Result};
use mains_client::{Proof, Proven};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(crate) fn run(arguments: VerifyArguments) -> Result<()> {
    let text = std::fs::read_to_string(&arguments.file)
        .with_context(|| format!("cannot read {}", arguments.file.display()))?;
    let trusted = arguments
        .root_key
        .map(|key| {
            hex::decode(key.trim())
                .context("--root-key is not hex: write the 266 digits that `mains` shows as root key")
        })
        .transpose()?;
    let proof = Proof::from_json(&text)?;
    let proven = proof.verify(trusted.as_deref())?;
    print(&proof, &proven, trusted.is_some());
    Ok(())
}

fn print(proof: &Proof, proven: &Proven, is_trusted: bool) {
    let outcome = match &proven.result {
        Ok(reply) => candid_text::decode_reply(None, &proven.method, reply),
        Err(rejection) => format!("rejected: {rejection}"),
    };
    let row = |name: &str, value: String| vec![terminal::coloured(Colour::Grey, name), value];
    let mut rows = vec![
        row("request", proven.request_id.to_string()),
        row("signed by", proven.sender.to_text()),
        row("called", format!("{} {}", proven.canister, proven.method)),
        row("with", candid_text::decode_reply(None, &proven.method, &proven.argument)),
        row("outcome", outcome),
        row("height", format!("{}, {}", terminal::group(proven.height), age(proven.time.get()))),
        row("state root", hex::encode(proven.root)),
    ];
    rows.extend(proven.cost.map(|cost| row("cost", format!("{} cycles", terminal::group(cost)))));
    terminal::line(format_args!(
        "{} the outcome was signed by a threshold of the subnet",
        terminal::coloured(Colour::Green, "✓")
    ));
    terminal::table(&rows);
    if !is_trusted {
        terminal::note(format_args!(
            "The root key comes from the file itself ({}, {}…): compare it, or give the one you trust with --root-key.",
            proof.network,
            proof.root_key.get(proof.root_key.len().saturating_sub(24)..).unwrap_or_default()
        ));
    }
}

fn age(time_nanos: u64) -> String {
    let then = UNIX_EPOCH + Duration::from_nanos(time_nanos);
    match SystemTime::now().duration_since(then) {
        Ok(age) if age.as_secs() >= 172_800 => format!("{} days ago", age.as_secs() / 86_400),
        Ok(age) if age.as_secs() >= 120 => format!("{} minutes ago", age.as_secs() / 60),
        Ok(age) => format!("{} seconds ago", age.as_secs()),
        Err(_) => "just now".into(),
    }
}
