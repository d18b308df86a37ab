//! Dates on the command line and in what it prints: UTC, in the form of ISO 8601.

use anyhow::{Context as _, Result, ensure};
use mains_ledger::bill::Bound;
use mains_types::{Height, UnixNanos};

const DAY_SECONDS: i64 = 86_400;
const ADVICE: &str =
    "write a height, a date such as 2026-11-21 (its midnight, UTC), or a time such as 2026-11-21T08:30:00Z";

/// What `text` stands for: a height, a date, or a time.
pub(crate) fn parse(text: &str) -> Result<Bound> {
    if let Ok(height) = text.parse() {
        return Ok(Bound::Height(Height(height)));
    }
    let (date, time) = text.split_once('T').unwrap_or((text, "00:00:00Z"));
    let date = numbers(date, '-').context(ADVICE)?;
    let time = time.strip_suffix('Z').and_then(|time| numbers(time, ':')).context(ADVICE)?;
    let ([year, month, day], [hour, minute, second]) = (date, time);
    let seconds = days(year, month, day) * DAY_SECONDS + hour * 3_600 + minute * 60 + second;
    let is_time = hour < 24 && minute < 60 && second < 60;
    ensure!(is_time && civil(days(year, month, day)) == (year, month, day) && year >= 1970, "{text}: {ADVICE}");
    Ok(Bound::Time(UnixNanos(u64::try_from(seconds)?.checked_mul(UnixNanos::SECOND).context(ADVICE)?)))
}

/// A time to the second; the beginning of an account has none.
pub(crate) fn show(time: UnixNanos) -> String {
    if time == UnixNanos(0) {
        return "the beginning".into();
    }
    let seconds = (time.get() / UnixNanos::SECOND) as i64;
    let (year, month, day) = civil(seconds.div_euclid(DAY_SECONDS));
    let rest = seconds.rem_euclid(DAY_SECONDS);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3_600, rest / 60 % 60, rest % 60)
}

/// Exactly three numbers of four digits at most.
fn numbers(text: &str, separator: char) -> Option<[i64; 3]> {
    let parts: Vec<i64> = text
        .split(separator)
        .map(|part| {
            let is_plain = !part.is_empty() && part.len() <= 4 && part.bytes().all(|byte| byte.is_ascii_digit());
            is_plain.then(|| part.parse().ok()).flatten()
        })
        .collect::<Option<_>>()?;
    parts.try_into().ok()
}

/// Days since 1970 of a date of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin with March have their leap day at the end.
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let before = (153 * month + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + before - 719_468
}

/// The date that lies so many days after the beginning of 1970.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    if month < 10 { (era * 400 + year, month + 3, day) } else { (era * 400 + year + 1, month - 9, day) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heights_dates_and_times_are_read() {
        let time = |seconds: u64| Bound::Time(UnixNanos(seconds * UnixNanos::SECOND));
        assert_eq!(parse("1234").unwrap(), Bound::Height(Height(1_234)));
        assert_eq!(parse("1970-01-01").unwrap(), time(0));
        assert_eq!(parse("2000-02-29").unwrap(), time(951_782_400));
        assert_eq!(parse("2026-11-21T08:30:05Z").unwrap(), time(1_795_249_805));
        for wrong in ["", "2026", "2026-13-01", "2026-02-29", "2026-11-21T24:00:00Z", "2026-11-21T08:30", "-1", "x"] {
            assert!(wrong == "2026" || parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_day_comes_back() {
        for day in 0..60_000 {
            let (year, month, date) = civil(day);
            assert_eq!(days(year, month, date), day);
        }
        assert_eq!(show(UnixNanos(1_795_249_805 * UnixNanos::SECOND + 5)), "2026-11-21T08:30:05Z");
        assert_eq!(show(UnixNanos(0)), "the beginning");
    }
}
