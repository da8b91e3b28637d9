//! Durations as rules write them: `500ms`, `90s`, `10m`, `1h`, `7d`.

/// Units by length: the short form, the long one, milliseconds.
const UNITS: [(&str, &str, i64); 5] = [
    ("d", "day", 86_400_000),
    ("h", "hour", 3_600_000),
    ("m", "minute", 60_000),
    ("s", "second", 1_000),
    ("ms", "millisecond", 1),
];

/// Milliseconds of a duration. None: it is not one, or is more than an `i64` holds.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (.., ms) = UNITS.iter().find(|(short, ..)| *short == unit)?;
    number.parse::<i64>().ok()?.checked_mul(*ms)
}

/// Milliseconds that somebody may have meant who writes durations as other tools do: `5 minutes`, `1h30m`, `4w`.
pub(crate) fn guess(text: &str) -> Option<i64> {
    let mut rest = text.trim();
    let mut total = None;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let after = after.trim_start();
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(letters);
        let unit = unit.to_ascii_lowercase();
        let plain = unit.strip_suffix('s').filter(|unit| unit.len() > 1).unwrap_or(&unit);
        let ms = match plain {
            "w" | "week" => 7 * UNITS[0].2,
            "hr" => UNITS[1].2,
            "min" => UNITS[2].2,
            "sec" => UNITS[3].2,
            plain => UNITS.iter().find(|(short, long, _)| *short == plain || *long == plain)?.2,
        };
        total = number.parse::<i64>().ok()?.checked_mul(ms)?.checked_add(total.unwrap_or(0));
        total?;
        rest = after.trim_start();
    }
    total
}

/// A duration in milliseconds as rules write it, with the largest unit that divides it: `90s`, `10m`.
pub fn short(ms: i64) -> String {
    let (number, (unit, ..)) = split(ms);
    format!("{number}{unit}")
}

/// The duration as people say it, for messages: `10 minutes`.
pub(crate) fn long(ms: i64) -> String {
    let (number, (_, unit, _)) = split(ms);
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

fn split(ms: i64) -> (i64, (&'static str, &'static str, i64)) {
    let fits = |(.., length): &&(_, _, i64)| ms % length == 0;
    match UNITS.iter().find(fits) {
        Some(unit) if ms != 0 => (ms / unit.2, *unit),
        _ => (0, UNITS[3]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        for (text, ms) in [
            ("500ms", Some(500)),
            ("0s", Some(0)),
            ("90s", Some(90_000)),
            ("10m", Some(600_000)),
            ("1h", Some(3_600_000)),
            ("7d", Some(604_800_000)),
            ("007s", Some(7_000)),
            ("", None),
            ("s", None),
            ("10", None),
            ("10 m", None),
            ("-1s", None),
            ("+1s", None),
            ("1.5h", None),
            ("10M", None),
            ("1w", None),
            ("1h30m", None),
            ("99999999999999999999s", None),
            ("9223372036854775807d", None),
        ] {
            assert_eq!(parse(text), ms, "{text:?}");
        }
    }

    #[test]
    fn durations_of_other_tools_are_understood() {
        for (text, ms) in [
            ("5 minutes", Some(300_000)),
            ("1 minute", Some(60_000)),
            ("1h30m", Some(5_400_000)),
            ("1h 30min", Some(5_400_000)),
            ("4w", Some(2_419_200_000)),
            ("2 weeks", Some(1_209_600_000)),
            ("10S", Some(10_000)),
            ("20 ms", Some(20)),
            ("", None),
            ("soon", None),
            ("5", None),
            ("1.5h", None),
            ("9223372036854775807w", None),
            ("9223372036854775807ms 1ms", None),
        ] {
            assert_eq!(guess(text), ms, "{text:?}");
        }
    }

    #[test]
    fn durations_are_shown_in_the_largest_unit_that_divides_them() {
        for (ms, written, said) in [
            (0, "0s", "0 seconds"),
            (1, "1ms", "1 millisecond"),
            (1_500, "1500ms", "1500 milliseconds"),
            (60_000, "1m", "1 minute"),
            (90_000, "90s", "90 seconds"),
            (5_400_000, "90m", "90 minutes"),
            (86_400_000, "1d", "1 day"),
        ] {
            assert_eq!((short(ms).as_str(), long(ms).as_str()), (written, said));
            assert_eq!(parse(&short(ms)), Some(ms));
        }
    }
}
