//! Every refusal, in one table: its code, its status, how it is answered, and what the sender does about it. The answers,
//! the metrics, the `Refused` records and `docs/refusals.md` are all read off it.

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Code in `Refused` records and metrics.
    pub code: &'static str,
    /// HTTP status.
    pub status: u16,
    /// Code in the answer. It differs from `code` if a stranger must not learn more.
    pub answer: &'static str,
    /// Whether the sender is done with the batch (design, section 3); else it sends the same bytes again.
    pub is_final: bool,
    /// When it happens.
    pub when: &'static str,
    /// What the sender does.
    pub sender: &'static str,
}

macro_rules! refusals {
    ($($(#[doc = $when:literal])+ $name:ident = $code:literal, $status:literal $(as $answer:literal)?, $last:ident, $sender:expr;)*) => {
        /// Why a whole batch is turned away.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Refusal { $($(#[doc = $when])+ $name),* }

        impl Refusal {
            /// Every refusal, in the order in which they are checked.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its row.
            pub const fn row(self) -> &'static Row {
                &TABLE[self as usize]
            }
        }

        static TABLE: [Row; Refusal::ALL.len()] = [$(Row {
            code: $code,
            status: $status,
            answer: { let answer = $code; $(let _ = answer; let answer = $answer;)? answer },
            is_final: is_final!($last),
            when: concat!($($when),+),
            sender: $sender,
        }),*];
    };
}

macro_rules! is_final {
    (last) => {
        true
    };
    (again) => {
        false
    };
}

const MEND: &str = "Drop the batch and count it as `refused`; mend the sender.";
const BACK_OFF: &str = "Keep the batch and back off; send the same bytes with a fresh `ts`.";
const WAIT: &str = "Keep the batch, wait for the operator, probe hourly.";
const ANEW: &str = "Draw a new spool and claim its signals anew: this one was copied or restored.";
const SPLIT: &str = "Retire the number; send the signals in two new batches.";

refusals! {
    /// The path is not `/v1/batches`, or carries a query.
    NotFound = "not_found", 404, again, WAIT;
    /// The method is not POST.
    MethodNotAllowed = "method_not_allowed", 405, again, WAIT;
    /// The gateway is stopping.
    ShuttingDown = "shutting_down", 503, again, BACK_OFF;
    /// The gateway's clock is more than 5 s off from the other gateways', or behind the log's: nothing that it says of the time can be believed.
    ClockDiffers = "clock_differs", 503, again, BACK_OFF;
    /// The request has a `Transfer-Encoding`, alone or beside a `Content-Length`: a body must state its length (RFC 9112, sections 6.1 and 6.3).
    LengthRequired = "length_required", 411, again, BACK_OFF;
    /// The signature header is missing, repeated or not of the grammar.
    SignatureMalformed = "signature_malformed", 401 as "unauthorized", again, WAIT;
    /// The body is over 1 MiB as sent.
    BodyTooLarge = "body_too_large", 413, last, SPLIT;
    /// All the room for bodies that are not verified yet, or not durable yet, is taken.
    Busy = "busy", 503, again, BACK_OFF;
    /// The body did not come in time.
    BodyTimeout = "body_timeout", 408, again, BACK_OFF;
    /// The body broke off.
    BodyBroken = "body_broken", 408, again, BACK_OFF;
    /// The site has no key of this name, or there is no such site.
    KeyUnknown = "key_unknown", 401 as "unauthorized", again, WAIT;
    /// The key was revoked.
    KeyRevoked = "key_revoked", 401 as "unauthorized", again, WAIT;
    /// The key is not valid yet, or no longer.
    KeyOutOfTime = "key_out_of_time", 401 as "unauthorized", again, WAIT;
    /// The signature is not this request's.
    SignatureWrong = "signature_wrong", 401 as "unauthorized", again, WAIT;
    /// `ts` is more than 300 s off.
    ClockSkew = "clock_skew", 401, again, "Correct the clock by `server_time` and send again at once.";
    /// The site was closed.
    SiteClosed = "site_closed", 410, last, "Stop for good and tell the operator.";
    /// This batch id was used for other bytes.
    Conflict = "conflict", 409, last, ANEW;
    /// The number lies so far below the highest of its spool that nobody can tell any more what was sent under it.
    BelowWindow = "below_window", 409, last, ANEW;
    /// The site has 64 spools already, and none of them was silent for 65 minutes or heard only under revoked keys.
    TooManySpools = "too_many_spools", 429, again, BACK_OFF;
    /// The content type is not `application/json`.
    ContentType = "content_type_unsupported", 415, last, MEND;
    /// The content encoding is neither `gzip` nor absent.
    ContentEncoding = "content_encoding_unsupported", 415, last, MEND;
    /// The site sent more bytes or signals than its quota.
    QuotaExceeded = "quota_exceeded", 429, again, "Keep the batch and wait for `Retry-After`.";
    /// The body is not one gzip member.
    GzipMalformed = "gzip_malformed", 400, last, MEND;
    /// The body is over 1 MiB when inflated, and over 100 times what was sent.
    GzipRatio = "gzip_ratio", 413, last, SPLIT;
    /// The body is over 8 MiB when inflated.
    InflatedTooLarge = "inflated_too_large", 413, last, SPLIT;
    /// The body is not UTF-8.
    NotUtf8 = "not_utf8", 400, last, MEND;
    /// The body is not JSON (RFC 8259), a number is out of range, or something follows it.
    JsonMalformed = "json_malformed", 400, last, MEND;
    /// An object has the same name twice.
    JsonDuplicateName = "json_duplicate_name", 400, last, MEND;
    /// The body is nested deeper than 16 levels.
    JsonTooDeep = "json_too_deep", 400, last, MEND;
    /// An object has too many names.
    JsonTooManyNames = "json_too_many_names", 400, last, MEND;
    /// A field beside `signals` is missing or not as it must be; the answer names it.
    HeadInvalid = "head_invalid", 400, last, MEND;
    /// `through` is not in milliseconds since the epoch (13 digits today, seconds have 10), or lies before the batch's newest signal.
    ThroughInvalid = "through_invalid", 400, last, MEND;
    /// The batch has more than 1,000 signals.
    TooManySignals = "too_many_signals", 413, last, SPLIT;
    /// The batch has signals and every one was refused.
    NothingAcceptable = "nothing_acceptable", 422, last, MEND;
    /// The log is away or slow: the batch may or may not be in it.
    LogAway = "log_away", 503, again, BACK_OFF;
}

/// Why one signal is left out of a batch that is otherwise taken, or one name of its head is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SignalRefusal {
    /// The catalogue has no such type.
    TypeUnknown,
    /// The catalogue has no such field in this type.
    FieldNotAllowed,
    /// A field that the type requires is missing.
    FieldMissing,
    /// A value is not one of the field's.
    ValueInvalid,
    /// The signal's time is not in milliseconds.
    AtNotMs,
    /// The signal is older than 7 days.
    TooOld,
}

impl SignalRefusal {
    /// Every one.
    pub const ALL: [Self; 6] =
        [Self::TypeUnknown, Self::FieldNotAllowed, Self::FieldMissing, Self::ValueInvalid, Self::AtNotMs, Self::TooOld];

    /// Code in the answer, in `Refused` records and in metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::TypeUnknown => "type_unknown",
            Self::FieldNotAllowed => "field_not_allowed",
            Self::FieldMissing => "field_missing",
            Self::ValueInvalid => "value_invalid",
            Self::AtNotMs => "at_not_ms",
            Self::TooOld => "too_old",
        }
    }

    /// When it happens.
    pub const fn when(self) -> &'static str {
        match self {
            Self::TypeUnknown => "The catalogue has no such signal type.",
            Self::FieldNotAllowed => "The catalogue has no such field in this type, or the head no such name.",
            Self::FieldMissing => "A field that the type requires is missing or null.",
            Self::ValueInvalid => "A value is not one that the catalogue allows there.",
            Self::AtNotMs => {
                "`at` is not in milliseconds since the epoch (13 digits today): seconds, with 10, are times 1,000."
            }
            Self::TooOld => "The signal is more than 7 days older than the gateway's clock.",
        }
    }
}

/// The text of `docs/refusals.md`.
pub fn document() -> String {
    use std::fmt::Write;

    let mut text = String::from(include_str!("refusals_head.md"));
    for refusal in Refusal::ALL {
        let Row { code, status, answer, is_final, when, sender } = refusal.row();
        let last = if *is_final { "yes" } else { "no" };
        let _ = writeln!(text, "| {status} | `{answer}` | `{code}` | {last} | {} | {sender} |", when.trim());
    }
    text.push_str(include_str!("refusals_signals.md"));
    for refusal in SignalRefusal::ALL {
        let _ = writeln!(text, "| `{}` | {} |", refusal.code(), refusal.when());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_final_follows_the_design() {
        for refusal in Refusal::ALL {
            let row = refusal.row();
            let expected = match row.status {
                400 | 409 | 410 | 413 | 415 | 422 => true,
                401 | 404 | 405 | 408 | 411 | 429 | 503 => false,
                other => unreachable!("{other} is not in the design"),
            };
            assert_eq!(row.is_final, expected, "{}", row.code);
            assert!(row.answer == row.code || (row.status == 401 && row.answer == "unauthorized"), "{}", row.code);
        }
    }

    /// What comes before the signature was checked may be a proxy's doing, which cut the body or sent it in chunks: no batch
    /// is dropped for it. One that is too large is not dropped either, but split.
    #[test]
    fn nothing_is_dropped_for_what_the_sender_did_not_sign() {
        for refusal in Refusal::ALL.iter().take_while(|r| **r != Refusal::ClockSkew) {
            assert_eq!(refusal.row().is_final, *refusal == Refusal::BodyTooLarge, "{}", refusal.row().code);
        }
    }

    #[test]
    fn codes_are_unique_and_in_their_place() {
        let mut codes: Vec<_> = Refusal::ALL.iter().map(|r| r.row().code).collect();
        codes.extend(SignalRefusal::ALL.map(SignalRefusal::code));
        let count = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), count);
        assert_eq!(Refusal::LogAway.row().code, "log_away");
    }

    #[test]
    fn the_document_is_this_table() {
        // To write it anew: cargo run -p logystera-ingest --example refusals > docs/refusals.md
        let written = include_str!("../../../docs/refusals.md");
        assert_eq!(
            written,
            document(),
            "docs/refusals.md is not what `cargo run -p logystera-ingest --example refusals` prints"
        );
    }
}
