//! Times as people write and read them: UTC, to the second.

use std::ops::RangeInclusive;

use logystera_infra::clock::{Clock, SystemClock};

pub use logystera_schemas::calendar::{parse, show, span_ms};

use crate::cli::CliError;

/// Seconds since 1970 from 2000 to 2100. As milliseconds they would all lie in the first weeks of 1970, before any log.
const SECONDS: RangeInclusive<i64> = 946_684_800..=4_102_444_800;

/// What `--from` says, milliseconds since the epoch; none: from the beginning.
pub fn from(text: Option<&str>) -> Result<Option<i64>, CliError> {
    text.filter(|text| *text != "beginning").map(|text| time("--from", text)).transpose()
}

/// What `--to` says, milliseconds since the epoch; none: to the end.
pub fn to(text: Option<&str>) -> Result<Option<i64>, CliError> {
    text.map(|text| time("--to", text)).transpose()
}

fn time(flag: &str, text: &str) -> Result<i64, CliError> {
    let now_ms = SystemClock::new().wall_ms();
    match parse(text, now_ms) {
        Some(at) if SECONDS.contains(&at) => Err(CliError::wrong_use(format!(
            "{flag} {text}: that looks like seconds since 1970; times are in milliseconds: {flag} {text}000 (which is {})",
            show(at.saturating_mul(1_000))
        ))),
        Some(at) => Ok(at),
        None => Err(CliError::wrong_use(format!(
            "{flag} {text}: not a time: expected one such as {} (UTC), milliseconds since 1970, or how long ago, such as 90s, 15m, 2h or 3d",
            show(now_ms).replace(' ', "T")
        ))),
    }
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
