//! From when to when a certificate is valid (RFC 5280, section 4.1.2.5), read from its DER: no more of it is needed.

use logystera_schemas::calendar::day_of;

/// What is wrong with a certificate at `now_s`, seconds since the epoch; none if it is valid, or cannot be read.
pub(super) fn fault(certificate: &[u8], now_s: i64) -> Option<String> {
    let [begins, ends] = validity(certificate)?;
    if now_s > ends.seconds()? {
        return Some(format!("ended on {}", ends.shown()));
    }
    (now_s < begins.seconds()?).then(|| format!("is not valid before {}", begins.shown()))
}

/// A time of a certificate, in UTC: year, month, day, hour, minute, second.
struct Time([i64; 6]);

impl Time {
    /// Seconds since the epoch.
    fn seconds(&self) -> Option<i64> {
        let [year, month, day, hour, minute, second] = self.0;
        Some(((day_of(year, month, day)? * 24 + hour) * 60 + minute) * 60 + second)
    }

    fn shown(&self) -> String {
        let [year, month, day, hour, minute, _] = self.0;
        format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
    }
}

fn validity(certificate: &[u8]) -> Option<[Time; 2]> {
    const SEQUENCE: u8 = 0x30;
    const VERSION: u8 = 0xa0;
    let content = |(tag, content, _): (u8, _, _)| (tag == SEQUENCE).then_some(content);
    let certificate: &[u8] = content(element(certificate)?)?;
    let mut fields: &[u8] = content(element(certificate)?)?;
    if *fields.first()? == VERSION {
        fields = element(fields)?.2;
    }
    // Serial number, signature algorithm, issuer.
    for _ in 0..3 {
        fields = element(fields)?.2;
    }
    let validity: &[u8] = content(element(fields)?)?;
    let (begins_tag, begins, rest) = element(validity)?;
    let (ends_tag, ends, _) = element(rest)?;
    Some([time(begins_tag, begins)?, time(ends_tag, ends)?])
}

/// The first element of DER: its tag, its content, and what comes after it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

fn time(tag: u8, text: &[u8]) -> Option<Time> {
    const UTC: u8 = 0x17;
    const GENERALIZED: u8 = 0x18;
    let digits = text.strip_suffix(b"Z")?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = |digits: &[u8]| digits.iter().fold(0, |n, digit| n * 10 + i64::from(digit - b'0'));
    let (year, rest) = match (tag, digits.len()) {
        (UTC, 12) => {
            let year = number(&digits[..2]);
            (if year < 50 { 2_000 + year } else { 1_900 + year }, &digits[2..])
        }
        (GENERALIZED, 14) => (number(&digits[..4]), &digits[4..]),
        _ => return None,
    };
    let part = |place: usize| number(&rest[place * 2..place * 2 + 2]);
    Some(Time([year, part(0), part(1), part(2), part(3), part(4)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_in_both_forms() {
        for (tag, text, seconds, shown) in [
            (0x17, "260101000000Z", 1_767_225_600, "2026-01-01 00:00 UTC"),
            (0x17, "991231235959Z", 946_684_799, "1999-12-31 23:59 UTC"),
            (0x18, "20240229120000Z", 1_709_208_000, "2024-02-29 12:00 UTC"),
            (0x18, "19700101000000Z", 0, "1970-01-01 00:00 UTC"),
        ] {
            let time = time(tag, text.as_bytes()).unwrap();
            assert_eq!((time.seconds(), time.shown().as_str()), (Some(seconds), shown), "{text}");
        }
        for (tag, text) in
            [(0x17, "20240229120000Z"), (0x18, "2402291200Z"), (0x17, "26010100000Z"), (0x13, "260101000000Z")]
        {
            assert!(time(tag, text.as_bytes()).is_none(), "{text}");
        }
        assert!(fault(b"\x30\x82\x01", 0).is_none() && fault(&[], 0).is_none());
    }
}
