//! What became of an input so far, and what of it waits.

use logystera_schemas::text::counted;
use serde_json::{Value, json};

use crate::progress::batches;
use crate::spool::Spool;
use crate::state::Totals;

/// What became of the input's signals so far, and what waits.
pub struct SendReport {
    /// What this run has had an answer for.
    pub run: Totals,
    /// What became of the whole input.
    pub totals: Totals,
    /// Lines of it that are no signals.
    pub malformed: u64,
    /// What waits, and where, for people.
    pub waits: String,
    /// All of it for programs.
    pub json: Value,
}

impl SendReport {
    /// Of a spool: `pending` signals of a stream are in no batch yet.
    pub(crate) fn of(spool: &Spool, malformed: u64, pending: Option<u64>) -> Self {
        let (state, run, totals) = (&spool.state, spool.run, spool.state.totals);
        // A batch that cannot be read is reported when it is to be sent.
        let left = spool.waiting().unwrap_or_default() + pending.unwrap_or_default();
        let json = json!({
            "spool": state.spool,
            "run": {
                "batches": run.batches, "accepted": run.accepted, "duplicate": run.duplicate, "refused": run.refused,
                "dropped": run.dropped,
            },
            "batches": totals.batches, "accepted": totals.accepted, "duplicate": totals.duplicate, "refused": totals.refused,
            "dropped": totals.dropped, "overflow": totals.overflow, "malformed": malformed,
            "left": left, "left_batches": spool.queue.len(), "begun": spool.next_file.is_none(),
            "clock_offset_ms": state.clock_offset_ms,
        });
        Self { run, totals, malformed, waits: waits(spool, left, pending.unwrap_or_default()), json }
    }
}

/// What waits in a spool, and where: `left` signals, of which `pending` are in no batch yet.
fn waits(spool: &Spool, left: u64, pending: u64) -> String {
    let signals = |count| counted(count, "signal", "signals");
    let batches = batches(spool.queue.len() as u64);
    let dir = spool.dir.display();
    let what = match (left, pending) {
        (0, _) if spool.queue.is_empty() => return "nothing waits".to_owned(),
        // The news of what was dropped is no signal of the input.
        (0, _) => batches,
        (_, 0) => format!("{} in {batches}", signals(left)),
        (_, pending) if spool.queue.is_empty() => signals(pending),
        (_, pending) => format!("{} in {batches}, and {} in none yet", signals(left - pending), signals(pending)),
    };
    match &spool.next_file {
        None => format!("still to go: {what}, in {dir}; the same command goes on with them"),
        Some(file) => format!(
            "still to go: {what} of an earlier file, in {dir}, and then {0}, of which nothing is taken in yet; the same command \
             goes on with both",
            file.display()
        ),
    }
}
