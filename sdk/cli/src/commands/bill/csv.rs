//! A bill as comma-separated values, one line per figure. No field ever holds a comma or a quote.

use crate::moment;
use mains_ledger::{Bill, Statement};
use std::fmt::Write as _;

const HEAD: &str = "statement,from_height,from,to_height,to,tariff,line,previous,present,quantity,unit,price_numerator,price_denominator,carried,cycles\n";

/// The whole bill; empty cells where a line has no such figure.
pub(super) fn render(bill: &Bill) -> String {
    let mut text = HEAD.to_owned();
    for (number, statement) in (1..).zip(&bill.statements) {
        render_statement(&mut text, number, statement);
    }
    text
}

fn render_statement(text: &mut String, number: usize, statement: &Statement) {
    let (from, to) = (statement.from, statement.to);
    let place = format!(
        "{number},{},{},{},{},{}",
        from.height,
        moment::show(from.time),
        to.height,
        moment::show(to.time),
        statement.tariff_version
    );
    let paid = statement.paid_to;
    let _ = writeln!(text, "{place},opening,,,,,,,,{}", statement.opening);
    let _ = writeln!(text, "{place},received,,,,,,,,{}", statement.received);
    let _ = writeln!(text, "{place},sent,,,,,,,,{}", statement.sent);
    for line in &statement.lines {
        let _ = writeln!(
            text,
            "{place},{},{},{},{},{},{},{},{},{}",
            line.resource.name(),
            line.previous,
            line.present,
            line.quantity,
            line.resource.unit(),
            line.price.numerator,
            line.price.denominator,
            line.carried,
            line.amount
        );
    }
    let totals = [
        ("charged", statement.charged),
        ("closing", statement.closing),
        ("to_operators", paid.operators),
        ("to_reserve", paid.reserve),
        ("to_commons", paid.commons),
        ("rounding", paid.rounding),
    ];
    for (name, amount) in totals {
        let _ = writeln!(text, "{place},{name},,,,,,,,{amount}");
    }
}
