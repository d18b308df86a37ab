//! The table: figure, floor or peer of the same run, ratio.

use std::time::Duration;

/// One line.
pub(crate) struct Line {
    /// What was measured.
    pub(crate) name: String,
    /// The figure, with its unit.
    pub(crate) figure: String,
    /// What it is compared with.
    pub(crate) floor: String,
    /// Figure by floor.
    pub(crate) ratio: String,
    /// What the design aims at.
    pub(crate) target: &'static str,
}

/// A duration in the unit people read best.
pub(crate) fn time(duration: Duration) -> String {
    let micros = duration.as_secs_f64() * 1e6;
    match micros {
        m if m < 1.0 => format!("{:.0} ns", m * 1e3),
        m if m < 1_000.0 => format!("{m:.1} us"),
        m if m < 1_000_000.0 => format!("{:.1} ms", m / 1e3),
        m => format!("{:.2} s", m / 1e6),
    }
}

/// How many times `floor` fits into `figure`.
pub(crate) fn ratio(figure: f64, floor: f64) -> String {
    if floor <= 0.0 { "-".into() } else { format!("{:.2}x", figure / floor) }
}

/// Prints the lines as an aligned table.
#[allow(clippy::print_stdout)]
pub(crate) fn print(lines: &[Line]) {
    let header = ["measured", "figure", "floor", "ratio", "target"];
    let cells = |line: &Line| {
        [line.name.clone(), line.figure.clone(), line.floor.clone(), line.ratio.clone(), line.target.to_owned()]
    };
    let rows: Vec<[String; 5]> = std::iter::once(header.map(str::to_owned)).chain(lines.iter().map(cells)).collect();
    let widths: Vec<usize> =
        (0..5).map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)).collect();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        println!("{}", cells.join("  ").trim_end());
    }
}
