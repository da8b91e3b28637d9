//! What the gateway refused: a sign of life of the site, and a signal that the engine makes of it,
//! `integration.refused`.

use logystera_schemas::avro::{DecodeError, Writer};
use logystera_schemas::batch::{Frame, Value, write_frame};
use logystera_schemas::catalogue::{FieldKind, SignalType};
use logystera_schemas::detection::Detection;
use logystera_schemas::signals_topic::Refused;
use logystera_schemas::time::SiteMs;

use super::log_time::LogTime;
use super::site::Site;
use super::version::Version;

impl Site {
    /// Takes note of what the gateway refused. It is a sign of life only if its signature was right.
    pub(crate) fn refused(
        &mut self,
        refused: &Refused,
        time: &LogTime,
        out: &mut Vec<Detection>,
    ) -> Result<(), DecodeError> {
        self.record.outcomes.refused += refused.count;
        self.changes.record = true;
        if !refused.authenticated {
            return Ok(());
        }
        self.forget_spools(time.wall());
        let is_second = self.record.version() >= Version::Two;
        if let Some(spool) = refused.spool.filter(|spool| is_second || self.spools.contains_key(spool)) {
            self.hear_spool(spool, false, time);
        }
        self.hear_site(time, out);
        self.declare_live_types();
        if self.record.watermark.is_some() {
            self.release(self.next_watermark(None), out)?;
        }
        if is_second && let Some(reason) = symbol_of(&refused.reason) {
            self.judge_refusal(reason, refused.count, time, out)?;
        }
        Ok(())
    }

    /// Judges a refusal as a signal of this moment, which moves no watermark.
    fn judge_refusal(
        &mut self,
        reason: &str,
        count: u64,
        time: &LogTime,
        out: &mut Vec<Detection>,
    ) -> Result<(), DecodeError> {
        let Some(kind) = SignalType::from_name(REFUSED).filter(|kind| self.groups.program.looks_at(*kind)) else {
            return Ok(());
        };
        // Before the first batch there is no site time: the log's stands in.
        let now = self.record.watermark.unwrap_or(SiteMs(time.wall().0));
        self.run_deadlines_before(now, out);
        let signal = signal(kind, reason, count);
        let signal = Frame::of(&signal, 0)?;
        self.groups.judge(&signal, now, now, &mut self.record.chain, out)?;
        if self.record.watermark.is_some() {
            // Before the first batch no minute is open.
            self.measure(&signal, now, false)?;
            self.run_deadlines_before(now.plus(1), out);
        }
        self.record.outcomes.evicted = self.groups.evicted;
        Ok(())
    }
}

/// The signal type that is made here.
const REFUSED: &str = "integration.refused";

/// The bytes of the signal.
fn signal(kind: SignalType, reason: &str, count: u64) -> Vec<u8> {
    let values = kind.def().fields.iter().map(|field| match &field.kind {
        FieldKind::Enum(symbols) => {
            symbols.iter().position(|symbol| symbol == reason).map_or(Value::Absent, |place| Value::Enum(place as u8))
        }
        FieldKind::Int { max, .. } => Value::Int(i64::try_from(count).unwrap_or(*max).min(*max)),
        _ => Value::Absent,
    });
    let values: Vec<Value<'_>> = values.collect();
    let mut to = Writer::new();
    write_frame(&mut to, kind, 0, &values);
    to.into_bytes()
}

/// The signal's `reason` for the code of a refusal. None: it makes no signal, because nothing is lost by it (the batch
/// is there already), because the request may be an old one that somebody captured, or because the trouble is ours.
fn symbol_of(code: &str) -> Option<&'static str> {
    Some(match code {
        // The last four are our own trouble, not the site's.
        "duplicate" | "clock_skew" | "log_away" | "busy" | "shutting_down" | "clock_differs" => return None,
        "conflict" => "conflict",
        "below_window" => "below_window",
        "too_many_spools" => "too_many_spools",
        "quota_exceeded" | "rate_limited" => "quota",
        "body_too_large" | "inflated_too_large" | "gzip_ratio" | "too_many_signals" => "too_large",
        "content_type_unsupported"
        | "content_encoding_unsupported"
        | "gzip_malformed"
        | "not_utf8"
        | "head_invalid"
        | "through_invalid" => "malformed",
        "nothing_acceptable" => "nothing_acceptable",
        "type_unknown" | "field_not_allowed" | "field_missing" | "value_invalid" | "too_old" | "at_not_ms" => "signal",
        json if json.starts_with("json_") => "malformed",
        _ => "other",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_a_symbol_of_the_type() {
        let kind = SignalType::from_name(REFUSED).unwrap();
        let symbols = kind.def().field("reason").unwrap().1.kind.symbols();
        for (code, symbol) in [
            ("duplicate", None),
            ("clock_skew", None),
            ("conflict", Some("conflict")),
            ("below_window", Some("below_window")),
            ("too_many_spools", Some("too_many_spools")),
            ("quota_exceeded", Some("quota")),
            ("rate_limited", Some("quota")),
            ("body_too_large", Some("too_large")),
            ("json_too_deep", Some("malformed")),
            ("through_invalid", Some("malformed")),
            ("nothing_acceptable", Some("nothing_acceptable")),
            ("too_old", Some("signal")),
            ("log_away", None),
            ("busy", None),
            ("of_tomorrow", Some("other")),
        ] {
            assert_eq!(symbol_of(code), symbol, "{code}");
            let bytes = signal(kind, symbol.unwrap_or("other"), u64::MAX);
            let read = Frame::of(&bytes, 0).unwrap().signal().unwrap();
            let place = symbols.iter().position(|s| s == symbol.unwrap_or("other")).unwrap();
            assert_eq!(read.fields[..2], [Value::Enum(place as u8), Value::Int(1_000_000_000)]);
        }
    }
}
