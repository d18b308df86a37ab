//! A statement as text in aligned columns, for terminals and mail.

use crate::{
    statement::{Destination, Statement},
    tariff::Price,
};

/// Renders a statement: what was used, at what price, and where the balance went. Integers only, grouped by thousands.
pub fn render_text(statement: &Statement) -> String {
    let mut table = vec![["resource", "previous", "present", "quantity", "price", "cycles"].map(String::from)];
    for line in statement.lines.iter().filter(|line| line.present > 0) {
        table.push([
            line.resource.name().to_owned(),
            group(line.previous),
            group(line.present),
            group(line.quantity),
            format!("{} / {}", price(&line.price), line.resource.unit()),
            group(line.amount.get()),
        ]);
    }
    let mut text = format!(
        "canister   {}\nperiod     height {} to {}\ntariff     version {}, {} nodes\n\n",
        statement.canister, statement.from.height, statement.to.height, statement.tariff_version, statement.nodes
    );
    columns(&mut text, &table);
    text.push('\n');

    let mut balance = vec![
        ["opening balance".to_owned(), group(statement.opening.get())],
        ["+ received".to_owned(), group(statement.received.get())],
        ["- sent".to_owned(), group(statement.sent.get())],
        ["- charged".to_owned(), group(statement.charged.get())],
        ["= closing balance".to_owned(), group(statement.closing.get())],
    ];
    let Destination { operators, reserve, commons, .. } = statement.paid_to;
    for (name, amount) in [("to operators", operators), ("to the reserve", reserve), ("to the commons", commons)] {
        balance.push([name.to_owned(), group(amount.get())]);
    }
    if let Some(outlook) = &statement.outlook {
        balance.push(["idle cost per day".to_owned(), group(outlook.idle_cost_per_day.get())]);
        balance.push(["frozen below".to_owned(), group(outlook.freezing_limit.get())]);
        let runway = outlook.runway_days.map_or_else(|| "no end".to_owned(), |days| format!("{} days", group(days)));
        balance.push(["runway".to_owned(), runway]);
    }
    columns(&mut text, &balance);
    text
}

/// Writes rows as columns: the first aligned left, the others right, two spaces between.
pub fn columns<const N: usize>(text: &mut String, rows: &[[String; N]]) {
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            match column {
                0 => text.push_str(&format!("{cell:<width$}", width = widths[0])),
                _ => text.push_str(&format!("  {cell:>width$}", width = widths[column])),
            }
        }
        text.push('\n');
    }
}

/// An integer with a comma after every three digits.
pub fn group(value: u128) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A price to nine places; JSON has the exact fraction.
pub fn price(price: &Price) -> String {
    const PLACES: u128 = 1_000_000_000;
    let denominator = u128::from(price.denominator.max(1));
    let (whole, rest) = (price.numerator / denominator, price.numerator % denominator);
    if rest == 0 {
        return group(whole);
    }
    let fraction = format!("{:09}", rest * PLACES / denominator);
    format!("{}.{}", group(whole), fraction.trim_end_matches('0'))
}
