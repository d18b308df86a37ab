//! One line per step: a tick, what was shown, how long it took, the evidence.

use crate::terminal::{self, Colour};
use anyhow::Result;
use std::time::{Duration, Instant};

/// Columns for the names of steps.
const TITLE_WIDTH: usize = 55;

/// Where the steps appear.
pub(super) struct Stage {
    began: Instant,
    steps_count: usize,
}

impl Stage {
    /// Raises the curtain.
    pub(super) fn begin() -> Self {
        terminal::line("");
        Self { began: Instant::now(), steps_count: 0 }
    }

    /// Runs a step and prints its line; its result comes with the evidence to print.
    pub(super) async fn step<T>(&mut self, title: &str, step: impl Future<Output = Result<(T, String)>>) -> Result<T> {
        let waiting = terminal::spinner(title.to_owned());
        let began = Instant::now();
        let result = step.await;
        waiting.finish_and_clear();
        let (sign, evidence) = match &result {
            Ok((_, evidence)) => (terminal::coloured(Colour::Green, "✓"), terminal::coloured(Colour::Grey, evidence)),
            Err(_) => (terminal::coloured(Colour::Red, "✗"), String::new()),
        };
        let line = format!("  {sign} {title:<TITLE_WIDTH$} {:>7}  {evidence}", seconds(began.elapsed()));
        terminal::line(line.trim_end());
        self.steps_count += 1;
        Ok(result?.0)
    }

    /// Prints text that belongs to the step before.
    pub(super) fn show(&self, text: &str) {
        terminal::line("");
        for line in text.trim_end().lines() {
            terminal::line(format!("      {line}").trim_end());
        }
        terminal::line("");
    }

    /// Prints the sum.
    pub(super) fn end(&self) {
        let sum = format!("All {} steps held, {}.", self.steps_count, seconds(self.began.elapsed()));
        terminal::line(format_args!("  {}", terminal::coloured(Colour::Bold, &sum)));
    }
}

fn seconds(duration: Duration) -> String {
    format!("{}.{:02} s", duration.as_secs(), duration.subsec_millis() / 10)
}
