//! A member's bill as the body of a page.

use super::{name, row, sums, together};
use crate::commands::bill::{chart, html::bars};
use mains_client::wallet::Wallet;
use mains_ledger::{Moment, statement::group};
use mains_types::Cycles;
use std::fmt::Write as _;

pub(super) fn body(wallet: &Wallet) -> String {
    let mut page = format!("<h1>Account</h1><p><code>{}</code></p>\n<table>\n", name(wallet));
    for (name, value) in sums(wallet) {
        let class = if name.starts_with('=') { " class=\"total\"" } else { "" };
        let _ = writeln!(page, "<tr{class}><td>{}<td>{value}</tr>", name.replacen("- ", "− ", 1));
    }
    page.push_str("</table>\n");
    let spent = |line: &mains_client::wallet::Line| {
        use mains_client::wallet::Kind::{Burned, Sent};
        let amount = if matches!(line.kind, Burned | Sent) { line.amount } else { Cycles::ZERO };
        (Moment { time: line.time, ..Moment::default() }, amount.saturating_add(line.fee))
    };
    let uses = chart::bars(&wallet.lines.iter().map(spent).collect::<Vec<_>>());
    if uses.len() > 1 {
        let _ = writeln!(page, "<h2>What left</h2>\n{}", bars(&uses));
    }
    page.push_str("<h2>Blocks</h2>\n<table><tr><th>block<th>time<th>what<th>with<th>cycles<th>fee<th>balance</tr>\n");
    for line in &wallet.lines {
        let [block, time, what, with, cells @ ..] = row(line);
        let with = if with.is_empty() { with } else { format!("<code>{with}</code>") };
        let _ = writeln!(page, "<tr><td>{block}<td>{time}<td>{what}<td>{with}<td>{}</tr>", cells.join("<td>"));
    }
    page.push_str("</table>\n");
    if !wallet.canisters.is_empty() {
        page.push_str("<h2>Canisters</h2>\n<p class=\"soft\">Their figures are certified; that this account's owner controls them is what the node says.</p>\n<table><tr><th>canister<th>balance<th>charged so far</tr>\n");
        for canister in &wallet.canisters {
            let (balance, charged) = (group(canister.balance.get()), group(canister.charged.get()));
            let id = canister.canister;
            let _ = writeln!(page, "<tr><td><code>{id}</code><td>{balance}<td>{charged}</tr>");
        }
        let (balance, charged) = together(wallet);
        let _ =
            writeln!(page, "<tr class=\"total\"><td>together<td>{}<td>{}</tr></table>", group(balance), group(charged));
    }
    page
}
