//! What a sender says that is told to stop: a spool is safe at any moment, but only the sender knows what waits in it.

use std::io;
use std::sync::{Arc, Mutex};

use logystera_infra::shutdown::Shutdown;
use serde_json::{Value, json};
use tokio::runtime::Builder;

use super::deliver::lock;
use super::file;
use super::spool::Spool;
use super::state::Totals;
use crate::cli::counted;

/// Exit code of a sender that was told to stop (128 + SIGINT, as shells count).
const EXIT_INTERRUPTED: i32 = 130;

type Teller = Box<dyn Fn() -> Option<Told> + Send>;

/// What became of the input's signals so far, and what waits.
pub(super) struct Told {
    /// What this run has had an answer for.
    pub(super) run: Totals,
    /// What became of the whole input.
    pub(super) totals: Totals,
    /// Lines of it that are no signals.
    pub(super) malformed: u64,
    /// What waits, and where, for people.
    pub(super) waits: String,
    /// All of it for programs.
    pub(super) json: Value,
}

impl Told {
    /// Of a spool: `pending` signals of a stream are in no batch yet.
    pub(super) fn of(spool: &Spool, malformed: u64, pending: Option<u64>) -> Self {
        let (state, run, totals) = (&spool.state, spool.run, spool.state.totals);
        // What cannot be read is told by whoever needs it.
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

/// SIGINT and SIGTERM, once somebody listens.
#[derive(Clone, Default)]
pub(super) struct Interrupt(Arc<Mutex<Option<Teller>>>);

impl Interrupt {
    /// Ends the process on the first signal, after it has said what waits.
    pub(super) fn listen(&self, json: bool) {
        let this = self.clone();
        std::thread::spawn(move || {
            let stopped = Builder::new_current_thread().enable_all().build().and_then(|runtime| {
                runtime.block_on(async {
                    let shutdown = Shutdown::new();
                    shutdown.on_signals()?;
                    shutdown.wait().await;
                    io::Result::Ok(())
                })
            });
            // Where signals cannot be had, they end the process as they always do.
            if stopped.is_ok() {
                this.say(json);
                std::process::exit(EXIT_INTERRUPTED);
            }
        });
    }

    /// What to say from now on.
    pub(super) fn tells(&self, what: impl Fn() -> Option<Told> + Send + 'static) {
        *lock(&self.0) = Some(Box::new(what));
    }

    fn say(&self, json: bool) {
        let told = lock(&self.0).as_ref().and_then(|tell| tell());
        let waits = told.as_ref().map_or("the same command goes on where it was", |told| &told.waits);
        eprintln!("logystera send: interrupted; {waits}");
        if json {
            println!("{}", told.map_or_else(|| json!({"interrupted": true}), |told| interrupted(told.json)));
        }
    }
}

fn interrupted(mut json: Value) -> Value {
    json["interrupted"] = true.into();
    json
}

/// What waits in a spool, and where: `left` signals, of which `pending` are in no batch yet.
fn waits(spool: &Spool, left: u64, pending: u64) -> String {
    let signals = |count| counted(count, "signal", "signals");
    let batches = file::batches(spool.queue.len() as u64);
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
