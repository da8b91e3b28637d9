//! What the operator sees: on standard error, sparingly.

use std::fmt::Write as _;

use logystera_infra::clock::{Clock, SystemClock};
use logystera_schemas::ids::BatchId;

use super::core::answer::{Answer, Refusal, Why};
use super::input::Complaints;
use super::spool::Header;
use super::state::Totals;

/// Time between two lines of progress.
const EVERY_MS: i64 = 2_000;
/// Characters of the gateway's text that are shown.
const REMOTE_CHARS_MAX: usize = 200;

/// Tells how it goes.
pub(super) struct Progress {
    clock: SystemClock,
    started_ms: i64,
    said_ms: i64,
    settled_before: u64,
    refusals: Complaints,
    hinted: bool,
}

impl Progress {
    pub(super) fn new(clock: SystemClock, totals: Totals) -> Self {
        let now = clock.monotonic_ms();
        let settled_before = totals.settled();
        Self { clock, started_ms: now, said_ms: now, settled_before, refusals: Complaints::default(), hinted: false }
    }

    /// Says how far it is, if it has not for a while. `total` is what the input had, where that is known.
    pub(super) fn settled(&mut self, totals: &Totals, total: Option<u64>) {
        let now = self.clock.monotonic_ms();
        if now - self.said_ms >= EVERY_MS {
            self.said_ms = now;
            eprintln!("{}", self.line(totals, total));
        }
    }

    /// How far it is.
    pub(super) fn line(&self, totals: &Totals, total: Option<u64>) -> String {
        let settled = totals.settled();
        let elapsed_ms = (self.clock.monotonic_ms() - self.started_ms).max(1) as u64;
        let rate = (settled - self.settled_before) * 1_000 / elapsed_ms;
        let mut text = format!("{} signals sent", totals.accepted + totals.duplicate);
        let mut add = |count: u64, what: &str| {
            if count > 0 {
                let _ = write!(text, ", {count} {what}");
            }
        };
        add(totals.duplicate, "of them were there already");
        add(totals.refused, "refused");
        add(totals.dropped, "dropped with a refused batch");
        add(totals.overflow, "dropped for want of room");
        if let Some(total) = total {
            let _ = write!(text, ", {} left", total.saturating_sub(settled));
        }
        text + &format!(", {rate}/s")
    }

    /// Explains which signals of a batch were refused, by the lines of the input.
    pub(super) fn refused(&mut self, header: &Header, answer: &Answer) {
        let Some(body) = &answer.body else { return };
        for Refusal { index, code, field } in &body.refused {
            let field = field.as_ref().map(|f| format!(" (`{}`)", clean(f))).unwrap_or_default();
            let line = index.and_then(|i| header.lines.get(i)).copied().unwrap_or(0);
            let what = format!("refused by the gateway: {}{field}", clean(code));
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
    pub(super) fn dropped(&mut self, id: BatchId, header: &Header, answer: &Answer) {
        self.refused(header, answer);
        let lines = header.lines.iter().copied().filter(|l| *l > 0);
        let span = match (lines.clone().min(), lines.max()) {
            (Some(first), Some(last)) => format!(", lines {first} to {last}"),
            _ => String::new(),
        };
        eprintln!(
            "batch {id} was refused for good ({}); its {} signals{span} are dropped",
            said(answer),
            header.signals
        );
    }
}

/// Says why nothing happens for a while.
pub(super) fn waits(ms: u64, why: Why, answer: &Answer, failure: Option<&str>) {
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

fn said(answer: &Answer) -> String {
    let body = answer.body.as_ref();
    let part = |text: Option<&String>| text.map(|t| format!(" {}", clean(t))).unwrap_or_default();
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

    #[test]
    fn a_stranger_cannot_write_to_the_terminal() {
        assert_eq!(clean("a\x1b[31mb\u{202e}\nc"), "a[31mbc");
        assert_eq!(clean(&"x".repeat(1_000)).len(), REMOTE_CHARS_MAX);
    }

    #[test]
    fn the_line_adds_up() {
        let totals = Totals { accepted: 90, duplicate: 5, refused: 3, dropped: 2, ..Totals::default() };
        let progress = Progress::new(SystemClock::new(), totals);
        let line = progress.line(&totals, Some(110));
        assert!(
            line.starts_with(
                "95 signals sent, 5 of them were there already, 3 refused, 2 dropped with a refused batch, 10 left, "
            ),
            "{line}"
        );
    }
}
