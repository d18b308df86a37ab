//! `mains bill`: what a canister used, a member spent or an operator earned, where the money went, and the proof of all of it.

mod chart;
mod csv;
mod html;
mod income;
mod wallet;

use crate::{
    args::{BillArguments, BillCommand, BillVerify, Output},
    context::Context,
    moment,
    terminal::{self, Colour},
};
use anyhow::{Context as _, Result, ensure};
use candid::Principal;
use icrc_ledger_types::icrc1::account::Account;
use mains_client::{bill, wallet::Wallet};
use mains_ledger::{
    Bill, Income, Member,
    bill::{Bound, Certified},
    statement::{group, render_text},
};
use serde::Serialize;
use std::path::Path;

/// Marks the bill inside a page, so that a page can be verified as well.
const EMBEDDED: &str = r#"<script type="application/json" id="bill">"#;

pub(crate) async fn run(context: &Context, arguments: BillArguments) -> Result<()> {
    let BillArguments { name, operator, from, to, .. } = arguments;
    let bound = |text: Option<String>| text.map(|text| moment::parse(&text)).transpose();
    let (from, to) = (bound(from)?, bound(to)?);
    if let Some(operator) = operator {
        return income::run(context, &operator, from, to).await;
    }
    let name = name.context(
        "name a canister or an account, or an operator with --operator, or verify a bill with `mains bill verify FILE --root-key KEY`",
    )?;
    if let Some(member) = member(&name) {
        return wallet::run(context, member, from, to).await;
    }
    let client = context.connect().await?;
    let canister = context.canister(&client, &name)?;
    // Verified on its way in, with the root key of this network.
    let (bill, certified) = client.statement(canister, from, to).await?;
    let (csv, html) = (|| csv::render(&bill), || html::render(&bill, &certified));
    print(context, client.root_key(), &bill, csv, html, || show(&bill, &certified));
    Ok(())
}

/// Prints a proven bill in the form that was asked for; with the text, how to keep its proof.
fn print(
    context: &Context,
    root_key: &[u8],
    bill: &impl Serialize,
    csv: impl FnOnce() -> String,
    html: impl FnOnce() -> String,
    show: impl FnOnce(),
) {
    match context.shared.output {
        Output::Json => terminal::json(bill),
        Output::Csv => terminal::line(csv().trim_end()),
        Output::Html => terminal::line(html()),
        Output::Text | Output::Candid | Output::Jsonl => {
            show();
            context.note(format_args!(
                "Proven with the root key {}…; keep it with -o json, check it with `mains bill verify`.",
                key_end(root_key)
            ));
        }
    }
}

/// The account of the cycles ledger that `text` names; nothing if it may be a canister's id or name. A canister's own account is named
/// as ICRC-1 does with a subaccount, or with a dot at the end.
fn member(text: &str) -> Option<Member> {
    /// The last byte of ids that a network gave out, canisters' among them.
    const OPAQUE: u8 = 1;
    if let Some(owner) = text.strip_suffix('.') {
        return Some(Member::new(Principal::from_text(owner).ok()?, None));
    }
    let account: Account = text.parse().ok()?;
    let is_canister = account.subaccount.is_none() && account.owner.as_slice().last() == Some(&OPAQUE);
    (!is_canister).then(|| Member::new(account.owner, account.subaccount))
}

fn show(bill: &Bill, certified: &Certified) {
    for statement in &bill.statements {
        let (from, to) = (moment::show(statement.from.time), moment::show(statement.to.time));
        terminal::line(format_args!("{}\n", terminal::coloured(Colour::Bold, &format!("{from} to {to}"))));
        terminal::line(render_text(statement));
    }
    if bill.statements.len() > 1 {
        let charged: u128 = bill.statements.iter().map(|statement| statement.charged.get()).sum();
        terminal::line(format_args!("charged in all {} statements  {}\n", bill.statements.len(), group(charged)));
    }
    let uses = bill.uses(Some(&certified.account));
    if uses.len() > 1 {
        terminal::line(chart::spark(&uses));
    }
}

/// `mains bill verify`: reads one file, asks nobody, needs no home.
pub(crate) fn verify(command: BillCommand) -> Result<()> {
    let BillCommand::Verify(BillVerify { file, root_key, not_before }) = command;
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let json = text.split_once(EMBEDDED).and_then(|(_, rest)| rest.split_once("</script>"));
    let page = json.is_some().then_some(text.trim());
    let json = json.map_or(&text[..], |(json, _)| json);
    let root_key = bill::root_key(&key_bytes(&root_key)?).context("--root-key")?;
    let not_before = match not_before.as_deref().map(moment::parse).transpose()? {
        None => None,
        Some(Bound::Time(time)) => Some(time),
        Some(Bound::Height(_)) => anyhow::bail!("--not-before takes a date, such as 2026-11-21"),
    };
    let (shown, mut rows) = match bill::format(json)?.as_str() {
        mains_ledger::income::FORMAT => {
            let income: Income = bill::parse(json)?;
            mains_client::income::verify(&income, &root_key, not_before)?;
            (income::page_of(&income), income::summary(&income))
        }
        mains_client::wallet::FORMAT => {
            let wallet: Wallet = bill::parse(json)?;
            mains_client::wallet::verify(&wallet, &root_key, not_before)?;
            (wallet::page_of(&wallet), wallet::summary(&wallet))
        }
        _ => {
            let bill: Bill = bill::parse(json)?;
            let certified = bill::verify(&bill, &root_key, not_before)?;
            (html::render(&bill, &certified), summary(&bill)?)
        }
    };
    let same = page.is_none_or(|page| page == shown.trim());
    ensure!(same, "the bill inside the page holds, but the page shows something else");
    rows.push(("root key", format!("…{}", key_end(&root_key))));
    terminal::line(format_args!("{} every line holds", terminal::coloured(Colour::Green, "✓")));
    let rows = rows.into_iter().map(|(name, value)| vec![terminal::coloured(Colour::Grey, name), value]);
    terminal::table(&rows.collect::<Vec<_>>());
    Ok(())
}

/// What a verified bill of a canister says, in rows.
fn summary(bill: &Bill) -> Result<Vec<(&'static str, String)>> {
    let (first, last) = bill.statements.first().zip(bill.statements.last()).context("a bill without statements")?;
    Ok(vec![
        ("canister", bill.canister.to_text()),
        ("period", format!("height {} to {}", first.from.height, last.to.height)),
        ("closing", format!("{} cycles", group(last.closing.get()))),
        (
            "certified",
            format!("height {}, {}", terminal::group(bill.certified.height), moment::show(bill.certified.time)),
        ),
        ("readings", bill.witnesses.readings.len().to_string()),
    ])
}

/// The key that `text` is in hex, or that a file holds, in hex or as it is.
fn key_bytes(text: &str) -> Result<Vec<u8>> {
    if let Ok(bytes) = hex::decode(text.trim()) {
        return Ok(bytes);
    }
    let advice = "--root-key takes the network's root key in hex, or a file that holds it";
    let bytes = std::fs::read(Path::new(text)).context(advice)?;
    let hex = std::str::from_utf8(&bytes).ok().and_then(|text| hex::decode(text.trim()).ok());
    Ok(hex.unwrap_or(bytes))
}

fn key_end(key: &[u8]) -> String {
    hex::encode(&key[key.len().saturating_sub(8)..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_told_from_canisters() {
        let person = Principal::self_authenticating([1; 32]);
        assert_eq!(member(&person.to_text()), Some(Member::new(person, None)));
        let savings = Account { owner: person, subaccount: Some([7; 32]) };
        assert_eq!(member(&savings.to_string()), Some(Member::new(person, Some([7; 32]))));
        let canister = mains_types::ids::canister_id(3);
        assert_eq!(member(&canister.to_text()), None);
        assert_eq!(member(&format!("{canister}.")), Some(Member::new(canister, None)));
        assert_eq!((member("counter"), member("my.app")), (None, None));
    }
}
