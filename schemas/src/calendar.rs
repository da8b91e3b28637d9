//! The calendar: times as people read them, in UTC.

/// Milliseconds of a day.
pub const DAY_MS: i64 = 86_400_000;

/// `2026-01-01 00:00:00Z` of milliseconds since the epoch: the `Z` says that it is UTC.
pub fn show(ms: i64) -> String {
    let (days, of_day) = (ms.div_euclid(DAY_MS), ms.rem_euclid(DAY_MS) / 1_000);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}Z")
}

/// Days since the epoch of a date of the Gregorian calendar. A year counts from March, so that the leap day is its last.
pub fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let before_year = 365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    before_year + (153 * month + 2) / 5 + day - 1 - 719_468
}

/// The date of a day since the epoch: the year whose first of March is the last not after it.
pub fn civil(day: i64) -> (i64, i64, i64) {
    let mut year = 1970 + day.div_euclid(366);
    while days(year + 1, 3, 1) <= day {
        year += 1;
    }
    while days(year, 3, 1) > day {
        year -= 1;
    }
    let in_year = day - days(year, 3, 1);
    let month = (5 * in_year + 2) / 153;
    let in_month = in_year - (153 * month + 2) / 5;
    if month < 10 { (year, month + 3, in_month + 1) } else { (year + 1, month - 9, in_month + 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_in_utc() {
        // From `date -u -d @… '+%F %TZ'`.
        for (ms, text) in [
            (0, "1970-01-01 00:00:00Z"),
            (951_782_400_000, "2000-02-29 00:00:00Z"),
            (1_767_225_599_999, "2025-12-31 23:59:59Z"),
            (4_107_542_400_000, "2100-03-01 00:00:00Z"),
        ] {
            assert_eq!(show(ms), text);
        }
        for day in 0..150_000 {
            let (year, month, date) = civil(day);
            assert_eq!(days(year, month, date), day);
        }
    }
}
