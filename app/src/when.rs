//! Times as people write and read them: UTC, to the second.

use std::ops::RangeInclusive;

use logystera_infra::clock::{Clock, SystemClock};

pub(crate) use logystera_schemas::calendar::show;
use logystera_schemas::calendar::{DAY_MS, day_of};

use crate::cli::CliError;

/// Seconds since 1970 from 2000 to 2100. As milliseconds they would all lie in the first weeks of 1970, before any log.
const SECONDS: RangeInclusive<i64> = 946_684_800..=4_102_444_800;

/// What `--from` says, milliseconds since the epoch; none: from the beginning.
pub(crate) fn from(text: Option<&str>) -> Result<Option<i64>, CliError> {
    let Some(text) = text.filter(|text| *text != "beginning") else { return Ok(None) };
    let now_ms = SystemClock::new().wall_ms();
    match parse(text, now_ms) {
        Some(at) if SECONDS.contains(&at) => Err(CliError::wrong_use(format!(
            "--from {text}: that looks like seconds since 1970; times are in milliseconds: --from {text}000 (which is {})",
            show(at.saturating_mul(1_000))
        ))),
        Some(at) => Ok(Some(at)),
        None => Err(CliError::wrong_use(format!(
            "--from {text}: not a time: expected one such as {} (UTC), milliseconds since 1970, or how long ago, such as 90s, 15m, 2h or 3d",
            show(now_ms).replace(' ', "T")
        ))),
    }
}

/// Reads `2026-01-01T00:00:00Z` (the time, its seconds and the `Z` may be left out), milliseconds since the epoch, or a span
/// before `now_ms` such as `90s`, `15m`, `2h` or `3d`.
pub(crate) fn parse(text: &str, now_ms: i64) -> Option<i64> {
    if let Some(ms) = text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten() {
        return Some(ms);
    }
    if let Some(span_ms) = span_ms(text) {
        return Some(now_ms - span_ms);
    }
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00"));
    Some(days_of(date)? * DAY_MS + ms_of(time)?)
}

/// Milliseconds of a span such as `90s`, `15m`, `2h` or `3d`.
pub(crate) fn span_ms(text: &str) -> Option<i64> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    Some(number(digits, 0..=1_000_000)? * unit_ms(unit)?)
}

fn unit_ms(unit: &str) -> Option<i64> {
    match unit {
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(DAY_MS),
        _ => None,
    }
}

fn number(text: &str, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().filter(|n| range.contains(n))
}

fn days_of(date: &str) -> Option<i64> {
    let mut parts = date.split('-');
    let mut next = |range| number(parts.next()?, range);
    let (year, month, day) = (next(1970..=9999)?, next(1..=12)?, next(1..=31)?);
    // The 31st of a shorter month is no day.
    day_of(year, month, day).filter(|_| parts.next().is_none())
}

fn ms_of(time: &str) -> Option<i64> {
    let mut parts = time.split(':');
    let (hour, minute) = (number(parts.next()?, 0..=23)?, number(parts.next()?, 0..=59)?);
    let second = parts.next().map_or(Some(0), |s| number(s, 0..=59))?;
    parts.next().is_none().then_some(((hour * 60 + minute) * 60 + second) * 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_and_read_back() {
        // From `date -u -d @… '+%F %T'`.
        for (ms, text) in [
            (0, "1970-01-01 00:00:00"),
            (951_782_400_000, "2000-02-29 00:00:00"),
            (951_868_800_000, "2000-03-01 00:00:00"),
            (1_767_225_599_999, "2025-12-31 23:59:59"),
            (1_767_225_600_000, "2026-01-01 00:00:00"),
            (4_107_542_400_000, "2100-03-01 00:00:00"),
            (253_402_300_799_000, "9999-12-31 23:59:59"),
        ] {
            assert_eq!(show(ms), format!("{text}Z"));
            assert_eq!((parse(text, 0), parse(&show(ms), 0)), (Some(ms / 1_000 * 1_000), parse(text, 0)));
            assert_eq!(parse(text, 0), Some(ms / 1_000 * 1_000), "{text}");
        }
    }

    #[test]
    fn times_have_several_spellings_and_nonsense_none() {
        let now = 1_767_225_600_000;
        for (text, expected) in [
            ("2026-01-01T00:00:00Z", Some(now)),
            ("2026-01-01", Some(now)),
            ("2026-01-01T00:01", Some(now + 60_000)),
            ("1767225600000", Some(now)),
            ("90s", Some(now - 90_000)),
            ("15m", Some(now - 900_000)),
            ("2h", Some(now - 7_200_000)),
            ("3d", Some(now - 3 * DAY_MS)),
            ("", None),
            ("h", None),
            ("-2h", None),
            ("yesterday", None),
            ("2026-02-29", None),
            ("2026-13-01", None),
            ("2026-01-01T24:00", None),
            ("2026-01-01T00:00:00+01:00", None),
            ("é", None),
        ] {
            assert_eq!(parse(text, now), expected, "{text:?}");
        }
    }

    #[test]
    fn seconds_are_not_taken_for_milliseconds_of_1970() {
        for (text, says) in [
            ("1767225600", Err("--from 1767225600000 (which is 2026-01-01 00:00:00Z)")),
            ("yesterday", Err("such as 90s, 15m")),
            ("1767225600000", Ok(Some(1_767_225_600_000))),
            ("2026-01-01T00:00:00Z", Ok(Some(1_767_225_600_000))),
            ("0", Ok(Some(0))),
            ("beginning", Ok(None)),
        ] {
            match (from(Some(text)), says) {
                (Ok(at), Ok(expected)) => assert_eq!(at, expected, "{text}"),
                (Err(error), Err(says)) => assert!(error.code == 2 && error.message.contains(says), "{error}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }
}
