//! A bill as one self-contained page: no script runs, nothing is fetched, and the bill with its proof is inside, so that
//! `mains bill verify` takes the page as well.

use super::{EMBEDDED, chart};
use crate::moment;
use mains_ledger::{
    Bill, Moment, Statement,
    bill::Certified,
    statement::{group, price},
};
use std::fmt::Write as _;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1d2430;background:#fff}\
table{border-collapse:collapse;width:100%;margin:.5rem 0 1.5rem}th,td{text-align:right;padding:.2rem .5rem;border-bottom:1px solid #dde2ea}\
th:first-child,td:first-child{text-align:left}td{font-variant-numeric:tabular-nums}.total td{font-weight:600}.soft{color:#667085}\
code{overflow-wrap:anywhere}svg{width:100%;height:7rem}@media(prefers-color-scheme:dark){body{color:#e6e9ef;background:#12161d}th,td{border-color:#2a3240}}";

/// The whole page.
pub(super) fn render(bill: &Bill, certified: &Certified) -> String {
    let mut body = format!("<h1>Bill</h1><p><code>{}</code></p>\n", bill.canister);
    for statement in &bill.statements {
        render_statement(&mut body, statement);
    }
    let uses = chart::bars(&bill.uses(Some(&certified.account)));
    if uses.len() > 1 {
        let _ = writeln!(body, "<h2>Use</h2>\n{}", bars(&uses));
    }
    let json = serde_json::to_string(bill).expect("plain data serializes");
    page(&format!("Bill of {}", bill.canister), &body, bill.certified, &json)
}

/// A page around `body`, with the bill that proves it inside: `json`, in which no figure can end the element.
pub(super) fn page(title: &str, body: &str, certified: Moment, json: &str) -> String {
    let mut page = String::from("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    let _ = writeln!(page, "<title>{title}</title><style>{STYLE}</style></head><body>");
    page.push_str(body);
    let _ = writeln!(
        page,
        "<p class=\"soft\">Certified at height {}, {}. The proof is in this file: <code>mains bill verify FILE --root-key KEY</code>.</p>",
        certified.height,
        moment::show(certified.time)
    );
    let _ = write!(page, "{EMBEDDED}{json}</script>\n</body></html>");
    page
}

fn render_statement(page: &mut String, statement: &Statement) {
    let (from, to) = (moment::show(statement.from.time), moment::show(statement.to.time));
    let _ = writeln!(page, "<h2>{from} to {to}</h2>");
    let _ = writeln!(
        page,
        "<p class=\"soft\">Height {} to {}; tariff {}, {} nodes. 10<sup>12</sup> cycles are one credit.</p>",
        statement.from.height, statement.to.height, statement.tariff_version, statement.nodes
    );
    page.push_str("<table><tr><th>resource<th>previous<th>present<th>quantity<th>price<th>cycles</tr>\n");
    for line in statement.lines.iter().filter(|line| line.present > 0) {
        let _ = writeln!(
            page,
            "<tr><td>{}<td>{}<td>{}<td>{}<td>{} / {}<td>{}</tr>",
            line.resource.name(),
            group(line.previous),
            group(line.present),
            group(line.quantity),
            price(&line.price),
            line.resource.unit(),
            group(line.amount.get())
        );
    }
    page.push_str("</table><table>\n");
    let paid = statement.paid_to;
    let mut row = |class: &str, name: &str, value: String| {
        let _ = writeln!(page, "<tr{class}><td>{name}<td>{value}</tr>");
    };
    row("", "opening balance", group(statement.opening.get()));
    row("", "+ received", group(statement.received.get()));
    row("", "− sent", group(statement.sent.get()));
    row("", "− charged", group(statement.charged.get()));
    row(" class=\"total\"", "= closing balance", group(statement.closing.get()));
    row("", "of what was charged, to operators", group(paid.operators.get()));
    row("", "to the reserve", group(paid.reserve.get()));
    row("", "to the commons", group(paid.commons.get()));
    if let Some(outlook) = &statement.outlook {
        row("", "idle cost per day", group(outlook.idle_cost_per_day.get()));
        row("", "frozen below", group(outlook.freezing_limit.get()));
        let days = outlook.runway_days.map_or_else(|| "no end".to_owned(), |days| format!("{} days", group(days)));
        row("", "runway", days);
    }
    page.push_str("</table>\n");
}

/// Bars as SVG, each with what it stands for.
pub(super) fn bars(uses: &[(Moment, u128)]) -> String {
    const HEIGHT: u128 = 100;
    let most = uses.iter().map(|(_, amount)| *amount).max().unwrap_or(0);
    let width = uses.len() * 10;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {width} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"cycles charged by period\">"
    );
    for (place, (moment, amount)) in uses.iter().enumerate() {
        let height = chart::height(*amount, most, HEIGHT);
        let _ = write!(
            svg,
            "<rect x=\"{}\" y=\"{}\" width=\"8\" height=\"{height}\" fill=\"#3b6fd4\"><title>up to {}: {} cycles</title></rect>",
            place * 10 + 1,
            HEIGHT - height,
            moment::show(moment.time),
            group(*amount)
        );
    }
    svg + "</svg>"
}
