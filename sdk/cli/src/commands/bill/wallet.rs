//! `mains bill` of a person: what came into an account of the cycles ledger and what left it, and the canisters it controls.

mod html;

use super::html::page;
use crate::{context::Context, moment, plots, terminal};
use anyhow::Result;
use mains_client::wallet::{Line, Wallet};
use mains_ledger::{
    Member,
    bill::Bound,
    statement::{columns, group},
};
use std::fmt::Write as _;

/// Lines that people are shown; JSON, CSV and pages have all.
const LINES_SHOWN: usize = 40;

pub(super) async fn run(context: &Context, member: Member, from: Option<Bound>, to: Option<Bound>) -> Result<()> {
    let client = context.connect().await?;
    let wallet = client.wallet(member, from, to).await?;
    let show = || terminal::line(text(&wallet));
    super::print(context, client.root_key(), &wallet, || csv(&wallet), || page_of(&wallet), show);
    Ok(())
}

/// The bill as a page that holds its proof.
pub(super) fn page_of(wallet: &Wallet) -> String {
    let json = serde_json::to_string(wallet).expect("plain data serializes");
    page(&format!("Account of {}", wallet.owner), &html::body(wallet), wallet.certified, &json)
}

/// What a verified bill says, in rows.
pub(super) fn summary(wallet: &Wallet) -> Vec<(&'static str, String)> {
    let certified = wallet.certified;
    vec![
        ("account", name(wallet)),
        ("blocks", wallet.lines.len().to_string()),
        ("opening", format!("{} cycles", group(wallet.sums.opening.get()))),
        ("closing", format!("{} cycles", group(wallet.sums.closing.get()))),
        ("certified", format!("height {}, {}", terminal::group(certified.height), moment::show(certified.time))),
    ]
}

fn name(wallet: &Wallet) -> String {
    match &wallet.subaccount {
        Some(subaccount) => format!("{}, subaccount {subaccount}", wallet.owner),
        None => wallet.owner.to_text(),
    }
}

/// Names and amounts of the sums, in the order in which they make the closing balance; then where the money went.
fn sums(wallet: &Wallet) -> Vec<(&'static str, String)> {
    let sums = &wallet.sums;
    let mut rows = vec![
        ("opening balance", group(sums.opening.get())),
        ("+ bought, deposited or earned", group(sums.minted.get())),
        ("+ received from others", group(sums.received.get())),
        ("- sent to others", group(sums.sent.get())),
        ("- to canisters", group(sums.burned.get())),
        ("- fees, to the commons", group(sums.fees.get())),
        ("= closing balance", group(sums.closing.get())),
        ("left on an average day", group(sums.spent_per_day.get())),
    ];
    let runway = sums.runway_days.map_or_else(|| "no end".to_owned(), |days| format!("{} days", group(days.into())));
    rows.push(("runway", runway));
    rows
}

fn row(line: &Line) -> [String; 7] {
    [
        line.block.to_string(),
        moment::show(line.time),
        line.kind.name().to_owned(),
        line.with.clone().unwrap_or_default(),
        group(line.amount.get()),
        group(line.fee.get()),
        group(line.balance.get()),
    ]
}

fn text(wallet: &Wallet) -> String {
    let mut text = format!("account    {}\n\n", name(wallet));
    let hidden = wallet.lines.len().saturating_sub(LINES_SHOWN);
    if hidden > 0 {
        let _ = writeln!(text, "{hidden} older blocks are not shown; -o csv has them");
    }
    let mut rows = vec![["block", "time", "what", "with", "cycles", "fee", "balance"].map(String::from)];
    rows.extend(wallet.lines.iter().skip(hidden).map(row));
    columns(&mut text, &rows);
    text.push('\n');
    let cells = |(name, value): (&str, String)| [name.to_owned(), value];
    columns(&mut text, &sums(wallet).into_iter().map(cells).collect::<Vec<_>>());
    let balances: Vec<u128> = wallet.lines.iter().skip(hidden).map(|line| line.balance.get()).collect();
    if balances.len() > 1 {
        let _ = writeln!(text, "\nbalance  {}", plots::sparkline(&balances));
    }
    if !wallet.canisters.is_empty() {
        text.push('\n');
        let mut rows = vec![["canister", "balance", "charged so far"].map(String::from)];
        let amounts = wallet.canisters.iter().map(|canister| {
            [canister.canister.to_text(), group(canister.balance.get()), group(canister.charged.get())]
        });
        rows.extend(amounts);
        rows.push(["together".to_owned(), group(together(wallet).0), group(together(wallet).1)]);
        columns(&mut text, &rows);
        text.push_str("(each has its own bill: mains bill CANISTER)\n");
    }
    text
}

/// What all canisters have and were charged.
fn together(wallet: &Wallet) -> (u128, u128) {
    wallet.canisters.iter().fold((0, 0), |(balance, charged): (u128, u128), canister| {
        (balance.saturating_add(canister.balance.get()), charged.saturating_add(canister.charged.get()))
    })
}

/// One line a block, then the sums and the canisters. No field ever holds a comma or a quote.
fn csv(wallet: &Wallet) -> String {
    let mut text = "line,block,time,with,memo,fee,cycles,balance\n".to_owned();
    let sums = &wallet.sums;
    let _ = writeln!(text, "opening,,,,,,,{}", sums.opening);
    for line in &wallet.lines {
        let _ = writeln!(
            text,
            "{},{},{},{},{},{},{},{}",
            line.kind.name(),
            line.block,
            moment::show(line.time),
            line.with.as_deref().unwrap_or_default(),
            line.memo.as_deref().unwrap_or_default(),
            line.fee,
            line.amount,
            line.balance
        );
    }
    let _ = writeln!(text, "closing,,,,,{},,{}", sums.fees, sums.closing);
    for canister in &wallet.canisters {
        let _ = writeln!(text, "canister,,,{},,,{},{}", canister.canister, canister.charged, canister.balance);
    }
    text
}
