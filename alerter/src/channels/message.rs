//! What a message says: the JSON that every generic receiver gets. The bytes are a function of the delivery, so that a
//! retry says the same.

use logystera_schemas::detection::{Detection, DetectionState};
use logystera_schemas::ids::ChannelId;
use serde::Serialize;

use crate::core::{About, Due};

/// The envelope that Standard Webhooks recommends.
#[derive(Serialize)]
struct Envelope<'a, D> {
    r#type: &'a str,
    timestamp: String,
    data: D,
}

#[derive(Serialize)]
struct ChannelDisabled<'a> {
    channel: &'a ChannelId,
    reason: &'static str,
    detection: Detection,
}

#[derive(Serialize)]
struct ChannelTest<'a> {
    channel: &'a ChannelId,
    message: &'static str,
}

/// The body of a delivery. `public_url` is the deployment's address, without a slash at its end.
///
/// `type` is `detection.firing`, `detection.resolved` or `channel.disabled`; `timestamp` the site time of the evaluation;
/// `data` the detection, or what became of the channel with the detection that found it out.
pub fn body(due: &Due, public_url: &str) -> Vec<u8> {
    let mut detection = due.detection.as_ref().clone();
    detection.url = format!("{}{}", public_url.trim_end_matches('/'), detection.url);
    let timestamp = rfc3339(detection.last_evaluated_at);
    match &due.about {
        About::Detection => {
            let kind = match detection.state {
                DetectionState::Resolved => "detection.resolved",
                // A suppressed one is never delivered.
                DetectionState::Firing | DetectionState::Suppressed => "detection.firing",
            };
            json(&Envelope { r#type: kind, timestamp, data: detection })
        }
        About::ChannelDisabled(channel) => {
            let data = ChannelDisabled { channel, reason: "status_410", detection };
            json(&Envelope { r#type: "channel.disabled", timestamp, data })
        }
    }
}

/// The body of a test: `type` is `channel.test`.
pub fn test_body(channel: &ChannelId, now_ms: i64) -> Vec<u8> {
    let data = ChannelTest { channel, message: "This is a test of the channel. No detection is behind it." };
    json(&Envelope { r#type: "channel.test", timestamp: rfc3339(now_ms), data })
}

#[expect(clippy::expect_used, reason = "these structures have only text keys and no fallible serializer")]
fn json<D: Serialize>(envelope: &Envelope<'_, D>) -> Vec<u8> {
    serde_json::to_vec(envelope).expect("plain structures serialize")
}

/// A time as RFC 3339 writes it, in UTC with milliseconds. The date is found as in H. Hinnant, "chrono-Compatible
/// Low-Level Date Algorithms" (`civil_from_days`).
fn rfc3339(ms: i64) -> String {
    let (days, ms_of_day) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (second, milli) = (ms_of_day / 1_000, ms_of_day % 1_000);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_rfc_3339() {
        // Computed with Python's datetime.
        for (ms, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_767_225_600_123, "2026-01-01T00:00:00.123Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(rfc3339(ms), expected);
        }
    }
}
