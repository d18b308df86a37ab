//! An operator's bill as the body of a page.

use super::{nodes, percent, row};
use crate::{commands::bill::html::bars, moment};
use mains_ledger::{Income, Moment, statement::group};
use std::fmt::Write as _;

pub(super) fn body(income: &Income) -> String {
    let mut page = format!(
        "<h1>Income of an operator</h1><p><code>{}</code></p>\n<p>Epochs {} to {}: earned <b>{}</b> cycles, {} without a fault. 10<sup>12</sup> cycles are one credit.</p>\n",
        income.operator,
        income.from_epoch,
        income.to_epoch,
        group(income.earned.get()),
        group(income.earned_max.get())
    );
    let uses: Vec<(Moment, u128)> = income.epochs.iter().map(|epoch| (epoch.to, epoch.earned.get())).collect();
    if uses.len() > 1 {
        let _ = writeln!(page, "<h2>By epoch</h2>\n{}", bars(&uses));
    }
    page.push_str("<h2>Settlements</h2>\n<table><tr><th>epoch<th>ended<th>users paid<th>operators' pool<th>weight<th>of all<th>earned<th>others<th>reserve<th>commons<th>rounding</tr>\n");
    for epoch in &income.epochs {
        let [number, cells @ ..] = row(epoch);
        let _ = writeln!(page, "<tr><td>{number}<td>{}<td>{}</tr>", moment::show(epoch.to.time), cells.join("<td>"));
    }
    page.push_str("</table>\n<p class=\"soft\">earned = pool × weight / weight of all; pool = what users paid × the operators' share; weight = (windows voted + windows certified) × (10,000 − deduction). What nodes did not earn went to the reserve.</p>\n");
    page.push_str(
        "<h2>Nodes</h2>\n<table><tr><th>node<th>windows<th>voted<th>certified<th>blocks<th>lost views<th>earned</tr>\n",
    );
    for node in nodes(income) {
        let counts = [node.windows, node.voted, node.certified, node.proposed, node.failed];
        let counts = counts.map(|count| group(count.into())).join("<td>");
        let _ = writeln!(page, "<tr><td><code>{}</code><td>{counts}<td>{}</tr>", node.node, group(node.amount.get()));
    }
    page.push_str(
        "</table>\n<h2>Shares</h2>\n<table><tr><th>epoch<th>tariff<th>operators<th>reserve<th>commons</tr>\n",
    );
    for epoch in &income.epochs {
        let shares = [epoch.operators_share, epoch.reserve_share, epoch.commons_share];
        let shares = shares.map(|share| percent(share.into())).join("<td>");
        let _ = writeln!(page, "<tr><td>{}<td>{}<td>{shares}</tr>", epoch.epoch, epoch.tariff_version);
    }
    page.push_str("</table>\n");
    page
}
