//! What an answer of the gateway means for the batch and for the sender: the final/not-final contract of design,
//! section 3, as one function over facts.

use logystera_schemas::limits::{SEND_FAILURES_MAX, SEND_NEW_KEY_TRIES, SPOOLS_DRAWN_MAX};
use serde::Deserialize;

use super::backoff::Delays;

/// What came back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Status; 0 if nothing came back.
    pub status: u16,
    /// `Retry-After` in seconds.
    pub retry_after_s: Option<u64>,
    /// The body, if it is a gateway's: JSON with a `server_time`.
    pub body: Option<Body>,
}

/// The parts of a gateway's answer that a sender reads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Body {
    /// The gateway's clock, milliseconds since the epoch. Every answer has it: what lacks it was not sent by a gateway.
    pub server_time: i64,
    /// Code of a refusal.
    #[serde(default)]
    pub code: Option<String>,
    /// What the gateway says of it to people.
    #[serde(default)]
    pub message: Option<String>,
    /// Whether a `duplicate` is proven: the gateway compared the bytes with those that it has under this id.
    #[serde(default)]
    pub same: bool,
    /// Signals that were taken.
    #[serde(default)]
    pub accepted: Option<u64>,
    /// Signals that were not.
    #[serde(default)]
    pub refused: Vec<Refusal>,
    /// Refused signals that are not listed.
    #[serde(default)]
    pub refused_more: u64,
}

/// One signal that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Refusal {
    /// Its place in the batch, from 0; none for a name in the batch's head.
    #[serde(default)]
    pub index: Option<usize>,
    /// Why.
    pub code: String,
    /// The field at fault.
    #[serde(default)]
    pub field: Option<String>,
}

/// What the sender remembers from one try to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Failures in a row.
    pub failures: u32,
    /// Whether the try before was answered `clock_skew`.
    pub skewed: bool,
    /// Spools drawn in a row.
    pub conflicts: u32,
    /// Answers in a row that say that the key or the address is wrong.
    pub unaccepted: u32,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The batch is in the log, as far as it was acceptable.
    Done,
    /// The batch is in the log from an earlier try.
    Duplicate,
    /// The batch will never be taken: drop it and count its signals.
    Drop,
    /// Too large: retire it and send its signals in two new ones.
    Split,
    /// Somebody else used this spool's numbers: draw a new one and go on.
    NewSpool,
    /// The site is closed: stop for good.
    Stop,
    /// Try again at once, with the corrected clock.
    RetryNow,
    /// Try again later.
    Wait {
        /// How long.
        ms: u64,
        /// Why.
        why: Why,
    },
}

/// Why the sender waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The key or the address is not accepted: the operator has to look.
    Operator,
    /// The gateway asked for a pause.
    Asked,
    /// The gateway or the way to it failed.
    Failed,
    /// It failed so often that it is only probed.
    Open,
}

/// What an answer means; `random` spreads the back-off. `is_first`: it answers the first try of the batch. Then there
/// is no earlier one that a `duplicate` could mean: unless the gateway compared the bytes, the number was used by
/// somebody else.
pub fn decide(answer: &Answer, is_first: bool, health: &mut Health, delays: Delays, random: u64) -> Next {
    let before = *health;
    health.skewed = false;
    let ours = answer.body.is_some();
    let code = answer.body.as_ref().and_then(|b| b.code.as_deref());
    let is_proven = answer.body.as_ref().is_some_and(|b| b.same);
    let next = match answer.status {
        202 if ours => Next::Done,
        200 if ours && (is_proven || !is_first) => Next::Duplicate,
        400 | 415 | 422 if ours => Next::Drop,
        // A proxy in between has its own limit, and does not answer in our JSON.
        413 => Next::Split,
        200 | 409 if ours && before.conflicts < SPOOLS_DRAWN_MAX => {
            health.conflicts += 1;
            return Next::NewSpool;
        }
        410 if ours => Next::Stop,
        401 if code == Some("clock_skew") && !before.skewed => {
            health.skewed = true;
            return Next::RetryNow;
        }
        // 404 and 405: a gateway, but not at this address.
        401 | 404 | 405 if ours && code != Some("clock_skew") => {
            health.unaccepted = before.unaccepted.saturating_add(1);
            // A key that was made a moment ago may not have reached this gateway yet.
            let new = health.unaccepted <= SEND_NEW_KEY_TRIES;
            let ms = if new { delays.new_key_ms.min(delays.probe_ms) } else { delays.probe_ms };
            return Next::Wait { ms, why: Why::Operator };
        }
        _ => return wait(answer, health, delays, random),
    };
    *health = Health::default();
    next
}

fn wait(answer: &Answer, health: &mut Health, delays: Delays, random: u64) -> Next {
    if let (429 | 503, Some(seconds)) = (answer.status, answer.retry_after_s) {
        // The gateway is up and says when: that does not count towards an open circuit.
        return Next::Wait { ms: delays.asked(seconds), why: Why::Asked };
    }
    health.failures = health.failures.saturating_add(1);
    let why = if health.failures >= SEND_FAILURES_MAX { Why::Open } else { Why::Failed };
    Next::Wait { ms: delays.after(health.failures, random), why }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAYS: Delays = Delays { base_ms: 100, new_key_ms: 50, probe_ms: 5_000 };

    fn answer(status: u16, code: &str) -> Answer {
        let code = (!code.is_empty()).then(|| code.to_owned());
        Answer { status, retry_after_s: None, body: Some(Body { code, ..Body::default() }) }
    }

    fn same() -> Answer {
        let body = Body { code: Some("duplicate".to_owned()), same: true, ..Body::default() };
        Answer { status: 200, retry_after_s: None, body: Some(body) }
    }

    fn stranger(status: u16) -> Answer {
        Answer { status, ..Answer::default() }
    }

    fn asking(status: u16, seconds: u64) -> Answer {
        Answer { retry_after_s: Some(seconds), ..answer(status, "") }
    }

    const fn operator(ms: u64) -> Next {
        Next::Wait { ms, why: Why::Operator }
    }

    const fn failed(ms: u64) -> Next {
        Next::Wait { ms, why: Why::Failed }
    }

    #[test]
    fn each_answer_has_its_meaning() {
        let cases = [
            (answer(202, ""), Next::Done),
            (same(), Next::Duplicate),
            (answer(200, "duplicate"), Next::NewSpool),
            (answer(400, "json_malformed"), Next::Drop),
            (answer(415, "content_encoding_unsupported"), Next::Drop),
            (answer(422, "nothing_acceptable"), Next::Drop),
            (answer(413, "body_too_large"), Next::Split),
            (answer(409, "conflict"), Next::NewSpool),
            (answer(409, "below_window"), Next::NewSpool),
            (answer(410, "site_closed"), Next::Stop),
            (answer(401, "clock_skew"), Next::RetryNow),
            (answer(401, "unauthorized"), operator(50)),
            (asking(429, 3), Next::Wait { ms: 3_000, why: Why::Asked }),
            (asking(503, 2), Next::Wait { ms: 2_000, why: Why::Asked }),
            (answer(429, "too_many_spools"), failed(77)),
            (answer(503, ""), failed(77)),
            (answer(500, ""), failed(77)),
            (asking(500, 2), failed(77)),
            (stranger(0), failed(77)), // no answer
            // What no gateway said is never final, whatever its status: a captive portal says 200, a proxy 400 or 410.
            (stranger(200), failed(77)),
            (stranger(202), failed(77)),
            (stranger(400), failed(77)),
            (stranger(401), failed(77)),
            (stranger(409), failed(77)),
            (stranger(410), failed(77)),
            (stranger(422), failed(77)),
            (stranger(413), Next::Split),
            (answer(302, ""), failed(77)),
            (answer(404, "not_found"), operator(50)),
            (answer(405, "method_not_allowed"), operator(50)),
            (stranger(404), failed(77)),
            (answer(408, "body_timeout"), failed(77)),
            (answer(204, ""), failed(77)),
        ];
        for (answer, expected) in cases {
            let mut health = Health::default();
            assert_eq!(decide(&answer, true, &mut health, DELAYS, 77), expected, "{answer:?}");
            // To a later try a duplicate is the first one, whose answer was lost; nothing else differs.
            let later = if answer == self::answer(200, "duplicate") { Next::Duplicate } else { expected };
            assert_eq!(decide(&answer, false, &mut Health::default(), DELAYS, 77), later, "later: {answer:?}");
        }
    }

    /// Answers one after the other, and what each leads to.
    fn timeline(steps: &[(Answer, Next)]) {
        let mut health = Health::default();
        for (i, (answer, expected)) in steps.iter().enumerate() {
            assert_eq!(decide(answer, true, &mut health, DELAYS, 77), *expected, "step {i}: {answer:?}");
        }
    }

    #[test]
    fn eight_failures_open_the_circuit_and_one_success_closes_it() {
        let mut steps = vec![(stranger(0), failed(77)); 7];
        steps.push((stranger(503), Next::Wait { ms: 5_000, why: Why::Open }));
        steps.push((asking(503, 1), Next::Wait { ms: 1_000, why: Why::Asked }));
        steps.push((stranger(0), Next::Wait { ms: 5_000, why: Why::Open }));
        steps.push((answer(202, ""), Next::Done));
        steps.push((stranger(0), failed(77)));
        timeline(&steps);
    }

    #[test]
    fn a_key_that_stays_unknown_is_probed_seldom() {
        let unauthorized = || answer(401, "unauthorized");
        timeline(&[
            (unauthorized(), operator(50)),
            (stranger(0), failed(77)),
            (unauthorized(), operator(50)),
            (unauthorized(), operator(50)),
            (unauthorized(), operator(5_000)),
            (unauthorized(), operator(5_000)),
            (answer(202, ""), Next::Done),
            (unauthorized(), operator(50)),
        ]);
    }

    #[test]
    fn a_second_skew_and_a_fourth_conflict_back_off() {
        timeline(&[
            (answer(401, "clock_skew"), Next::RetryNow),
            (answer(401, "clock_skew"), failed(77)),
            (answer(401, "clock_skew"), Next::RetryNow),
            (answer(202, ""), Next::Done),
            (answer(409, ""), Next::NewSpool),
            (answer(409, ""), Next::NewSpool),
            (answer(409, ""), Next::NewSpool),
            (answer(409, ""), failed(77)),
            (answer(200, "duplicate"), failed(77)),
            (answer(202, ""), Next::Done),
            (answer(409, ""), Next::NewSpool),
        ]);
    }
}
