//! Printing: results to stdout, progress and errors to stderr, colour only where somebody looks.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    fmt::Display,
    io::{self, IsTerminal, Write},
    time::Duration,
};

/// Prints a line of the result. A reader that went away ends the program quietly.
pub(crate) fn line(text: impl Display) {
    if let Err(error) = writeln!(io::stdout().lock(), "{text}")
        && error.kind() == io::ErrorKind::BrokenPipe
    {
        std::process::exit(0);
    }
}

/// Prints a remark that is not part of the result.
pub(crate) fn note(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Prints why a command failed, as one line.
pub(crate) fn error(error: &anyhow::Error) {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        // Some crates repeat their source in their own text.
        if !text.contains(&cause) {
            let separator = if text.is_empty() { "" } else { ": " };
            text = format!("{text}{separator}{cause}");
        }
    }
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    note(format_args!("{} {text}", paint(io::stderr().is_terminal(), Colour::Red, "error:")));
}

/// Colours in use.
#[derive(Clone, Copy)]
pub(crate) enum Colour {
    /// Done.
    Green,
    /// Failed.
    Red,
    /// Not so important.
    Grey,
    /// A heading.
    Bold,
}

/// `text` in `colour` if stdout shows colours.
pub(crate) fn coloured(colour: Colour, text: &str) -> String {
    paint(io::stdout().is_terminal(), colour, text)
}

fn paint(is_terminal: bool, colour: Colour, text: &str) -> String {
    if !is_terminal || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
        return text.to_owned();
    }
    let code = match colour {
        Colour::Green => "32",
        Colour::Red => "31",
        Colour::Grey => "90",
        Colour::Bold => "1",
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

/// A spinner on stderr that says what is under way; nothing if nobody looks.
pub(crate) fn spinner(text: impl Into<String>) -> ProgressBar {
    if !io::stderr().is_terminal() || std::env::var_os("CI").is_some() {
        return ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    }
    let style =
        ProgressStyle::with_template("{spinner} {msg} {elapsed}").unwrap_or_else(|_| ProgressStyle::default_spinner());
    let spinner = ProgressBar::new_spinner().with_style(style).with_message(text.into());
    spinner.enable_steady_tick(Duration::from_millis(90));
    spinner
}

/// An integer with a comma after every three digits.
pub(crate) fn group(number: impl Display) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A duration to three digits: `840 µs`, `41.2 ms`, `3.05 s`.
pub(crate) fn duration(duration: Duration) -> String {
    let micros = duration.as_micros();
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{:.1} ms", micros as f64 / 1e3),
        _ => format!("{:.2} s", micros as f64 / 1e6),
    }
}

/// Rows as columns, two spaces between; the last column is not padded.
pub(crate) fn table(rows: &[Vec<String>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    for row in rows {
        let mut text = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let padding = width - cell.chars().count();
            text.push_str(cell);
            text.push_str(&" ".repeat(padding + 2));
        }
        line(text.trim_end());
    }
}

/// A value as JSON.
pub(crate) fn json(value: &impl serde::Serialize) {
    line(serde_json::to_string_pretty(value).expect("plain data serializes"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!(group(0), "0");
        assert_eq!(group(999), "999");
        assert_eq!(group(1_000), "1,000");
        assert_eq!(group(12_345_678), "12,345,678");
    }

    #[test]
    fn durations_are_short() {
        assert_eq!(duration(Duration::from_micros(840)), "840 µs");
        assert_eq!(duration(Duration::from_micros(41_234)), "41.2 ms");
        assert_eq!(duration(Duration::from_millis(3_050)), "3.05 s");
    }
}
