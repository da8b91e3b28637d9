//! Dates of the Gregorian calendar, in UTC: the one place where days are counted.

use std::ops::RangeInclusive;

use time::{Date, Month};

/// The Julian day of 1970-01-01.
const EPOCH_JULIAN_DAY: i32 = 2_440_588;
/// Milliseconds of a day.
pub const DAY_MS: i64 = 86_400_000;

/// Days from 1970-01-01 to a date. None means that there is no such date, or that its year has more than four digits.
pub fn day_of(year: i64, month: i64, day: i64) -> Option<i64> {
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    let date = Date::from_calendar_date(i32::try_from(year).ok()?, month, u8::try_from(day).ok()?).ok()?;
    Some(i64::from(date.to_julian_day() - EPOCH_JULIAN_DAY))
}

/// `2026-01-01 00:00:00Z` of milliseconds since the epoch: the `Z` says that it is UTC.
pub fn show(ms: i64) -> String {
    let Utc { year, month, day, hour, minute, second, .. } = Utc::of(ms);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}Z")
}

/// A moment as a calendar and a clock show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Utc {
    /// Year.
    pub year: i32,
    /// Month, 1 to 12.
    pub month: u8,
    /// Day of the month, from 1.
    pub day: u8,
    /// Hour, 0 to 23.
    pub hour: u8,
    /// Minute, 0 to 59.
    pub minute: u8,
    /// Second, 0 to 59.
    pub second: u8,
    /// Millisecond, 0 to 999.
    pub milli: u16,
}

impl Utc {
    /// The moment so many milliseconds after the epoch. Beyond the years -9999 to 9999 it has the last day that there
    /// is.
    pub fn of(ms: i64) -> Self {
        let (day, ms_of_day) = (ms.div_euclid(DAY_MS), ms.rem_euclid(DAY_MS));
        let julian = day.saturating_add(i64::from(EPOCH_JULIAN_DAY));
        let julian = julian.clamp(i64::from(Date::MIN.to_julian_day()), i64::from(Date::MAX.to_julian_day()));
        let date = Date::from_julian_day(julian as i32).unwrap_or(Date::MAX);
        let (year, month, day) = date.to_calendar_date();
        let second = ms_of_day / 1_000;
        Self {
            year,
            month: month as u8,
            day,
            hour: (second / 3_600) as u8,
            minute: (second / 60 % 60) as u8,
            second: (second % 60) as u8,
            milli: (ms_of_day % 1_000) as u16,
        }
    }
}

/// Reads `2026-01-01T00:00:00Z` (the time, its seconds and the `Z` may be left out), milliseconds since the epoch, or a span
/// before `now_ms` such as `90s`, `15m`, `2h` or `3d`.
pub fn parse(text: &str, now_ms: i64) -> Option<i64> {
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
pub fn span_ms(text: &str) -> Option<i64> {
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

fn number(text: &str, range: RangeInclusive<i64>) -> Option<i64> {
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
    fn days_and_dates_are_each_others_opposite() {
        // From `date -u -d @… '+%F'`.
        for (day, date) in [
            (0, (1970, 1, 1)),
            (-1, (1969, 12, 31)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (20_454, (2026, 1, 1)),
            (47_541, (2100, 3, 1)),
            (2_932_896, (9999, 12, 31)),
        ] {
            let at = Utc::of(day * DAY_MS);
            assert_eq!((at.year, at.month, at.day), date);
            assert_eq!(day_of(date.0.into(), date.1.into(), date.2.into()), Some(day), "{date:?}");
        }
        for day in 0..150_000 {
            let at = Utc::of(day * DAY_MS);
            assert_eq!(day_of(at.year.into(), at.month.into(), at.day.into()), Some(day));
        }
        for (year, month, day) in
            [(2026, 2, 29), (2026, 13, 1), (2026, 0, 1), (2026, 4, 31), (2026, 1, 0), (10_000, 1, 1)]
        {
            assert_eq!(day_of(year, month, day), None, "{year} {month} {day}");
        }
    }

    #[test]
    fn every_moment_has_a_date() {
        let at = Utc::of(1_767_225_599_999);
        assert_eq!((at.hour, at.minute, at.second, at.milli), (23, 59, 59, 999));
        let at = Utc::of(-1);
        assert_eq!((at.year, at.hour, at.milli), (1969, 23, 999));
        assert_eq!((Utc::of(i64::MAX).year, Utc::of(i64::MIN).year), (9999, -9999));
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
}
