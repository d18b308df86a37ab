//! Numbers as pictures of one line.

const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Characters of the longest bar.
const BAR_WIDTH: u128 = 24;

/// One character a number, as high as the number is beside the greatest.
pub(crate) fn sparkline(numbers: &[u128]) -> String {
    let most = numbers.iter().copied().max().unwrap_or(0);
    let level = |number: &u128| match most {
        0 => 0,
        _ => part(*number, most, LEVELS.len() as u128 - 1) as usize,
    };
    numbers.iter().map(|number| LEVELS[level(number)]).collect()
}

/// A bar as long as `number` is beside `most`, in eighths of a character.
pub(crate) fn bar(number: u128, most: u128) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = if most == 0 { 0 } else { part(number.min(most), most, BAR_WIDTH * 8) };
    format!("{}{}", "█".repeat((eighths / 8) as usize), EIGHTHS[(eighths % 8) as usize])
}

/// `number / most` of `whole`, rounded.
fn part(number: u128, most: u128, whole: u128) -> u128 {
    // Large numbers lose digits that no picture shows.
    let shift = (u128::BITS - most.leading_zeros()).saturating_sub(64);
    let (number, most) = (number >> shift, (most >> shift).max(1));
    (number * whole + most / 2) / most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_in_proportion() {
        assert_eq!(sparkline(&[0, 1, 2, 3, 4, 5, 6, 7]), "▁▂▃▄▅▆▇█");
        assert_eq!(sparkline(&[0, 0]), "▁▁");
        assert_eq!(sparkline(&[u128::MAX, u128::MAX / 2, 0]), "█▄▁");
        assert_eq!(sparkline(&[]), "");
        assert_eq!(bar(1, 2), "█".repeat(12));
        assert_eq!(bar(1, 48), "▌");
        assert_eq!((bar(0, 0), bar(9, 3)), (String::new(), "█".repeat(24)));
    }
}
