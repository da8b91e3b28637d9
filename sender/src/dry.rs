//! What would be sent, and what the gateway would say of it. Nothing is sent or written.

use logystera_infra::clock::{Clock, SystemClock};

use crate::core::body::{self, BatchHead};
use crate::core::cut::{self, CutPoint};
use crate::core::line::Signal;
use crate::core::permitted::Hints;
use crate::file::{self, Plan};
use crate::input::Complaints;
use crate::spool::Spool;
use crate::{Options, SendError};

/// Signals of a batch that a gateway would refuse.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// All of them.
    pub total: u64,
    /// Some of them: the place in the batch, from 0, the code, and the field.
    pub listed: Vec<(Option<usize>, &'static str, Option<String>)>,
}

/// What a gateway would say of a batch's body at a time (milliseconds since the epoch); the error is the code of the
/// whole batch's refusal.
pub type Judge = fn(&[u8], i64) -> Result<Refused, &'static str>;

/// What would be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DryRun {
    /// Which part of the file.
    pub plan: Plan,
    /// Signals that would be sent.
    pub signals: u64,
    /// How many batches they make.
    pub batches: u64,
    /// How many of the signals would be refused.
    pub refused: u64,
    /// Lines that are no signals.
    pub malformed: u64,
    /// Batches of an earlier file that wait in the spool.
    pub waiting: u64,
    /// The first signal's time, milliseconds since the epoch.
    pub first_at: Option<i64>,
    /// The last signal's.
    pub last_at: Option<i64>,
}

/// What a file would come to; says on standard error which lines are no signals, and which would be refused.
pub fn run(options: &Options, judge: Judge) -> Result<DryRun, SendError> {
    let clock = SystemClock::new();
    let bytes = file::read(&options.input)?;
    let found = Spool::peek(&options.spool)?;
    let plan = match &found {
        Some((state, waiting)) => file::plan(&options.input, &bytes, state, *waiting, options.again)?,
        None => Plan::All,
    };
    let from = match plan {
        Plan::All => 0,
        Plan::Behind(from) => from,
        Plan::GoOn | Plan::Nothing => bytes.len(),
    };
    let mut content = file::parse(&bytes, from);
    if options.rebase_time {
        file::rebase(&mut content.signals, clock.wall_ms());
    }
    let mut complaints = Complaints::default();
    content.malformed.iter().for_each(|(number, error)| complaints.say(*number, error));
    let mut would = DryRun {
        plan,
        signals: content.signals.len() as u64,
        batches: 0,
        refused: 0,
        malformed: complaints.count,
        waiting: found.map_or(0, |(_, waiting)| waiting as u64),
        first_at: content.signals.first().map(|s| s.at),
        last_at: content.signals.last().map(|s| s.at),
    };
    check(&content.signals, clock.wall_ms(), options.flush_every_s, judge, (&mut would, &mut complaints));
    Ok(would)
}

/// Cuts signals into batches as [`file`] does, and has each judged.
fn check(
    signals: &[Signal],
    now: i64,
    flush_every_s: u32,
    judge: Judge,
    (would, complaints): (&mut DryRun, &mut Complaints),
) {
    let (mut hints, mut rest) = (Hints::default(), signals);
    while !rest.is_empty() {
        let (own, behind) = rest.split_at(cut::fit(rest.iter().map(|s| s.json().len())));
        let jsons: Vec<String> = own.iter().map(Signal::json).collect();
        let last_at = own.last().map(|s| s.at);
        let next_at = behind.first().map(|s| s.at);
        let through = cut::through(CutPoint { last_at, next_at, now: last_at.unwrap_or(now), previous: -1 });
        let head = BatchHead { through, clock_offset_ms: 0, flush_every_s, ends: behind.is_empty(), enabled: &[] };
        let text = body::body(&head, jsons.iter().map(String::as_str));
        would.batches += 1;
        match judge(text.as_bytes(), now) {
            Ok(refused) => {
                would.refused += refused.total;
                for (index, code, field) in refused.listed {
                    let (line, kind) = index.and_then(|i| own.get(i)).map_or((0, ""), |s| (s.line, s.kind.as_str()));
                    let hint = hints.of(code, kind, field.as_deref());
                    let field = field.map(|f| format!(" (`{f}`)")).unwrap_or_default();
                    complaints.say(line, &format!("would be refused: {code}{field}{hint}"));
                }
            }
            Err(code) => {
                would.refused += own.len() as u64;
                let line = own.first().map_or(0, |s| s.line);
                complaints.say(line, &format!("and {} more would be refused: {code}", own.len() - 1));
            }
        }
        rest = behind;
    }
}
