//! What was charged over time, as a line of bars.

use crate::moment;
use mains_ledger::{Moment, statement::group};
use mains_types::Cycles;

/// Bars of a chart.
const BARS_MAX: usize = 60;
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// At most [`BARS_MAX`] sums of consecutive uses, with the moment of the last of each.
pub(super) fn bars(uses: &[(Moment, Cycles)]) -> Vec<(Moment, u128)> {
    let each = uses.len().div_ceil(BARS_MAX).max(1);
    let bar = |some: &[(Moment, Cycles)]| {
        let sum = some.iter().map(|(_, cycles)| cycles.get()).sum();
        Some((some.last()?.0, sum))
    };
    uses.chunks(each).filter_map(bar).collect()
}

/// A bar's height in parts of `whole`: 0 only for nothing.
pub(super) fn height(amount: u128, most: u128, whole: u128) -> u128 {
    if amount == 0 { 0 } else { (amount.saturating_mul(whole) / most.max(1)).clamp(1, whole) }
}

/// One line of bars, with what the highest one is.
pub(super) fn spark(uses: &[(Moment, Cycles)]) -> String {
    let bars = bars(uses);
    let most = bars.iter().map(|(_, amount)| *amount).max().unwrap_or(0);
    let line: String = bars
        .iter()
        .map(|(_, amount)| match height(*amount, most, LEVELS.len() as u128) {
            0 => ' ',
            level => LEVELS[level as usize - 1],
        })
        .collect();
    let last = bars.last().map(|(moment, _)| moment::show(moment.time)).unwrap_or_default();
    format!(
        "use      {line}\n         each bar a period of account, the last up to {last}; highest {} cycles\n",
        group(most)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use mains_types::{Height, UnixNanos};

    fn uses(amounts: &[u128]) -> Vec<(Moment, Cycles)> {
        let moment = |height: u64| Moment { height: Height(height), time: UnixNanos(height) };
        (1..).zip(amounts).map(|(height, amount)| (moment(height), Cycles(*amount))).collect()
    }

    #[test]
    fn bars_are_as_high_as_what_was_charged() {
        let line = spark(&uses(&[0, 1, 400, 800]));
        assert!(line.starts_with("use       ▁▄█\n") && line.contains("highest 800 cycles"), "{line}");
    }

    #[test]
    fn many_periods_share_bars_and_nothing_is_lost() {
        let many = uses(&[3; 1_000]);
        let bars = bars(&many);
        assert!(bars.len() <= BARS_MAX);
        assert_eq!(bars.iter().map(|(_, amount)| amount).sum::<u128>(), 3_000);
        assert_eq!(bars.last().unwrap().0, many.last().unwrap().0);
        assert_eq!(height(u128::MAX, u128::MAX, 8), 1, "saturates, never panics");
    }
}
