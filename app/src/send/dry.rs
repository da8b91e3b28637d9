//! `--dry-run`: what would be sent, and what the gateway would say of it, by its own allowlist. Nothing is sent or written.

use std::path::Path;

use logystera_infra::clock::{Clock, SystemClock};
use logystera_ingest::core::admit::{self, Terms};
use logystera_schemas::limits::SIGNAL_AGE_MS_MAX;
use serde_json::json;

use super::core::body::{self, Head};
use super::core::cut::{self, Claim};
use super::core::line::Signal;
use super::file::{self, FileError, Plan};
use super::input::Complaints;
use super::state::State;
use super::{Args, Target};
use crate::cli::counted;
use crate::when;

/// What a batch would come to.
#[derive(Default)]
struct Would {
    batches: u64,
    refused: u64,
}

/// Says what would be sent; true if all of it would be taken. `found`: the spool's state, and how many batches wait in it.
pub(super) fn run(
    args: &Args,
    target: &Target,
    dir: &Path,
    bytes: &[u8],
    found: Option<(&State, usize)>,
) -> Result<bool, FileError> {
    let clock = SystemClock::new();
    let plan = match found {
        Some((state, waiting)) => file::plan(&args.input, bytes, state, waiting, args.again)?,
        None => Plan::All,
    };
    let from = match plan {
        Plan::All => 0,
        Plan::Behind(from) => from,
        Plan::GoOn | Plan::Nothing => bytes.len(),
    };
    let mut content = file::parse(bytes, from);
    if args.rebase_time {
        file::rebase(&mut content.signals, clock.wall_ms());
    }
    let mut complaints = Complaints::default();
    content.malformed.iter().for_each(|(number, error)| complaints.say(*number, error));
    let malformed = complaints.count;
    let would = check(&content.signals, clock.wall_ms(), args.flush_every_s, &mut complaints);
    let waiting = found.map_or(0, |(_, waiting)| waiting);
    let (first, last) = (content.signals.first().map(|s| s.at), content.signals.last().map(|s| s.at));
    let times = match (first, last) {
        (Some(first), Some(last)) => format!(", from {} to {}", when::show(first), when::show(last)),
        _ => String::new(),
    };
    let count = content.signals.len();
    eprintln!("dry run: nothing is sent, nothing is written");
    if waiting > 0 {
        eprintln!("first: {} of an earlier file, which wait in {}", file::batches(waiting as u64), dir.display());
    }
    match plan {
        Plan::GoOn | Plan::Nothing => eprintln!("this file was sent already; to send it once more: --again"),
        Plan::Behind(_) => eprintln!("the start of this file was sent already; what follows it is"),
        Plan::All => {}
    }
    let signals = counted(count as u64, "signal", "signals");
    eprintln!("{signals} in {}{times}, to {} as site {}", file::batches(would.batches), target.url, target.site);
    let no_signals = if malformed > 0 { format!("; {}", file::no_signals(malformed)) } else { String::new() };
    eprintln!("{} of them would be refused{no_signals}", would.refused);
    if args.json {
        let report = json!({
            "dry_run": true, "signals": count, "batches": would.batches, "refused": would.refused, "malformed": malformed,
            "waiting_batches": waiting, "first_at": first, "last_at": last, "spool_folder": dir.display().to_string(),
        });
        println!("{report}");
    }
    Ok(would.refused + malformed == 0)
}

/// Cuts the signals as they would be cut, and has the gateway's own code judge each batch.
fn check(signals: &[Signal], now: i64, flush_every_s: u32, complaints: &mut Complaints) -> Would {
    let mut would = Would::default();
    let mut rest = signals;
    while !rest.is_empty() {
        let (own, behind) = rest.split_at(cut::fit(rest.iter().map(|s| s.json().len())));
        let jsons: Vec<String> = own.iter().map(Signal::json).collect();
        let last_at = own.last().map(|s| s.at);
        let next_at = behind.first().map(|s| s.at);
        let through = cut::through(Claim { last_at, next_at, now: last_at.unwrap_or(now), previous: -1 });
        let head = Head { through, clock_offset_ms: 0, flush_every_s, ends: behind.is_empty(), enabled: &[] };
        let text = body::body(&head, jsons.iter().map(String::as_str));
        would.batches += 1;
        match admit::admit(text.as_bytes(), &Terms { received_at: now, signal_age_ms_max: SIGNAL_AGE_MS_MAX }) {
            Ok(admitted) => {
                would.refused += u64::from(admitted.refused.total());
                for item in &admitted.refused.listed {
                    let field = item.field.as_ref().map(|f| format!(" (`{f}`)")).unwrap_or_default();
                    let line = item.index.and_then(|i| own.get(i)).map_or(0, |s| s.line);
                    complaints.say(line, &format!("would be refused: {}{field}", item.code.code()));
                }
            }
            Err(fault) => {
                would.refused += own.len() as u64;
                let line = own.first().map_or(0, |s| s.line);
                complaints
                    .say(line, &format!("and {} more would be refused: {}", own.len() - 1, fault.refusal.row().code));
            }
        }
        rest = behind;
    }
    would
}
