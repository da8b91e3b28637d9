//! What the operator sees: on standard error, sparingly.

use std::fmt::Write as _;

use logystera_infra::clock::{Clock, SystemClock};
use logystera_schemas::ids::BatchId;

use crate::batch_file::Header;
use crate::core::answer::{Answer, Refusal, Why};
use crate::core::body::Brief;
use crate::core::permitted::Hints;
use crate::input::Complaints;
use crate::state::Totals;
use logystera_schemas::text::counted;

/// Time between two lines of progress.
const EVERY_MS: i64 = 2_000;
/// Characters of the gateway's text that are shown.
const REMOTE_CHARS_MAX: usize = 200;

/// Tells how it goes.
pub(crate) struct Progress {
    clock: SystemClock,
    started_ms: i64,
    said_ms: i64,
    overflow_before: u64,
    refusals: Complaints,
    hints: Hints,
    hinted: bool,
}

impl Progress {
    pub(crate) fn new(clock: SystemClock) -> Self {
        let now = clock.monotonic_ms();
        Self {
            clock,
            started_ms: now,
            said_ms: now,
            overflow_before: 0,
            refusals: Complaints::default(),
            hints: Hints::default(),
            hinted: false,
        }
    }

    /// Starts anew for another input; `totals` is what became of it in earlier runs.
    pub(crate) fn begin(&mut self, totals: &Totals) {
        self.overflow_before = totals.overflow;
        self.refusals = Complaints::default();
        self.hints = Hints::default();
        self.hinted = false;
    }

    /// Says how far it is after a try has settled something, if it has not for a while. `total` is what the input had,
    /// if that is known.
    pub(crate) fn settled(&mut self, run: &Totals, totals: &Totals, total: Option<u64>) {
        let now = self.clock.monotonic_ms();
        if now - self.said_ms >= EVERY_MS {
            self.said_ms = now;
            eprintln!("{}", self.line(run, totals, total, 0));
        }
    }

    /// What became of the input's lines in this run, and what is left of them. `malformed` of them are no signals;
    /// overflows stand in the spool's totals.
    pub(crate) fn line(&self, run: &Totals, totals: &Totals, total: Option<u64>, malformed: u64) -> String {
        let elapsed_ms = (self.clock.monotonic_ms() - self.started_ms).max(1) as u64;
        let rate = run.settled() * 1_000 / elapsed_ms;
        let mut text = format!("{} sent", counted(run.accepted + run.duplicate, "signal", "signals"));
        let mut add = |count: u64, what: &str| {
            if count > 0 {
                let _ = write!(text, ", {count} {what}");
            }
        };
        add(run.duplicate, "of them there already");
        add(run.refused, "refused");
        add(run.dropped, "dropped with a refused batch");
        add(totals.overflow.saturating_sub(self.overflow_before), "dropped for want of room");
        if malformed > 0 {
            let _ = write!(text, ", {}", no_signals(malformed));
        }
        if let Some(total) = total {
            let _ = write!(text, ", {} left", total.saturating_sub(totals.settled()));
        }
        if run.settled() > 0 { text + &format!(", {rate}/s") } else { text }
    }

    /// Explains which signals of a batch were refused, by the lines of the input.
    pub(crate) fn refused(&mut self, header: &Header, answer: &Answer, briefs: &[Brief]) {
        let Some(body) = &answer.body else { return };
        for Refusal { index, code, field } in &body.refused {
            let of_catalogue = field.as_deref();
            let field = field.as_ref().map(|f| format!(" (`{}`)", clean(f))).unwrap_or_default();
            let line = index.and_then(|i| header.lines.get(i)).copied().unwrap_or(0);
            let kind = index.and_then(|i| briefs.get(i)).map_or("", |brief| &brief.r#type);
            let hint = if line > 0 { self.hints.of(code, kind, of_catalogue) } else { String::new() };
            let what = format!("refused by the gateway: {}{field}{hint}", clean(code));
            match (index, line) {
                (None, _) => eprintln!("the gateway passed over a name in the batch's head: {}{field}", clean(code)),
                (Some(_), 0) => eprintln!("a count of dropped signals was {what}"),
                (Some(_), line) => self.refusals.say(line, &what),
            }
        }
        if !self.hinted && body.refused.iter().any(|r| r.code == "too_old") {
            self.hinted = true;
            eprintln!(
                "signals older than 7 days are refused; an old file can be sent as if it were of today: --rebase-time --again"
            );
        }
    }

    /// Says that a batch is given up.
    pub(crate) fn dropped(&mut self, id: BatchId, header: &Header, answer: &Answer, briefs: &[Brief]) {
        self.refused(header, answer, briefs);
        let lines = header.lines.iter().copied().filter(|l| *l > 0);
        let span = match (lines.clone().min(), lines.max()) {
            (Some(first), Some(last)) if first == last => format!(", line {first}"),
            (Some(first), Some(last)) => format!(", lines {first} to {last}"),
            _ => String::new(),
        };
        let what = counted(header.signals as u64, "signal is", "signals are");
        eprintln!("batch {id} was refused for good ({}); its {what} dropped{span}", said(answer));
    }
}

/// Says why nothing happens for a while.
pub(crate) fn waits(ms: u64, why: Why, answer: &Answer, failure: Option<&str>) {
    let what = match failure {
        Some(failure) => format!("the gateway did not answer ({failure})"),
        None if answer.body.is_none() => format!("status {}, but not from a gateway", answer.status),
        None => format!("the gateway answered {}", said(answer)),
    };
    let advice = match why {
        Why::Operator => "; check the DSN, the key and the address",
        Why::Open => "; it failed often, so it is only probed from now on",
        Why::Asked | Why::Failed => "",
    };
    eprintln!("{what}{advice}; next try in {}", span(ms));
}

/// So many lines are no signals.
pub fn no_signals(lines: u64) -> String {
    counted(lines, "line is no signal", "lines are no signals")
}

/// So many batches.
pub fn batches(count: u64) -> String {
    counted(count, "batch", "batches")
}

fn said(answer: &Answer) -> String {
    let body = answer.body.as_ref();
    // A sentence of the gateway's goes on as part of ours.
    let part = |text: Option<&String>| text.map(|t| format!(" {}", clean(t).trim_end_matches('.'))).unwrap_or_default();
    let message = part(body.and_then(|b| b.message.as_ref()));
    let separator = if message.is_empty() { "" } else { ":" };
    format!("{}{}{separator}{message}", answer.status, part(body.and_then(|b| b.code.as_ref())))
}

/// Text from elsewhere as a terminal may show it.
fn clean(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(REMOTE_CHARS_MAX).collect()
}

fn span(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..120_000 => format!("{} s", ms / 1_000),
        _ => format!("{} min", ms / 60_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::answer::Body;

    #[test]
    fn a_stranger_cannot_write_to_the_terminal() {
        assert_eq!(clean("a\x1b[31mb\u{202e}\nc"), "a[31mbc");
        assert_eq!(clean(&"x".repeat(1_000)).len(), REMOTE_CHARS_MAX);
    }

    #[test]
    fn what_the_gateway_says_ends_without_a_full_stop() {
        let code = Some("unauthorized".to_owned());
        let body = Body { code, message: Some("The key is not accepted.".to_owned()), ..Body::default() };
        let answer = Answer { status: 401, body: Some(body), ..Answer::default() };
        assert_eq!(said(&answer), "401 unauthorized: The key is not accepted");
    }

    #[test]
    fn the_line_tells_this_run_and_what_is_left_of_all() {
        let earlier = Totals { accepted: 40, refused: 1, ..Totals::default() };
        let one = Totals { accepted: 41, ..earlier };
        let totals = Totals { accepted: 90, duplicate: 5, refused: 4, dropped: 2, overflow: 7, ..Totals::default() };
        let mut progress = Progress::new(SystemClock::new());
        progress.begin(&earlier);
        let mut run = Totals::default();
        assert_eq!(progress.line(&run, &earlier, Some(112), 0), "0 signals sent, 71 left");
        run.add(&earlier, &one);
        let line = progress.line(&run, &one, None, 1);
        assert!(line.starts_with("1 signal sent, 1 line is no signal, "), "{line}");
        run.add(&one, &totals);
        let line = progress.line(&run, &totals, Some(112), 0);
        assert!(
            line.starts_with(
                "55 signals sent, 5 of them there already, 3 refused, 2 dropped with a refused batch, 7 dropped for want of room, \
                 11 left, "
            ),
            "{line}"
        );
    }
}
