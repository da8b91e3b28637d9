//! The gateway's metrics. Every label's values are those of a table of ours: nobody can add one by sending something.

use metrics::{Counter, Gauge, Histogram};

use crate::core::refusal::{Refusal, SignalRefusal};

/// Handles that are made once: to look a metric up by name costs more than to count.
pub(crate) struct Meters {
    pub(crate) accepted: Counter,
    pub(crate) duplicate: Counter,
    refused: Vec<Counter>,
    pub(crate) signals_accepted: Counter,
    signals_refused: Vec<Counter>,
    pub(crate) body_bytes: Counter,
    pub(crate) append_seconds: Histogram,
    pub(crate) connections: Gauge,
    pub(crate) refused_unrecorded: Counter,
    pub(crate) ticks_missed: Counter,
}

impl Meters {
    pub(crate) fn new() -> Self {
        metrics::describe_counter!(
            "logystera_gateway_batches_total",
            "Requests for /v1/batches, by what became of them."
        );
        metrics::describe_counter!(
            "logystera_gateway_signals_total",
            "Signals of taken batches, by what became of them."
        );
        metrics::describe_counter!("logystera_gateway_body_bytes_total", "Bytes of verified bodies, as sent.");
        metrics::describe_histogram!("logystera_gateway_append_seconds", "Time until the log had a batch.");
        metrics::describe_gauge!("logystera_gateway_connections", "Open connections.");
        metrics::describe_counter!(
            "logystera_gateway_refused_unrecorded_total",
            "Refusals without a record of their own."
        );
        metrics::describe_counter!("logystera_gateway_ticks_missed_total", "Ticks that the log did not take.");
        let batches =
            |outcome: &'static str| metrics::counter!("logystera_gateway_batches_total", "outcome" => outcome);
        let signals =
            |outcome: &'static str| metrics::counter!("logystera_gateway_signals_total", "outcome" => outcome);
        Self {
            accepted: batches("accepted"),
            duplicate: batches("duplicate"),
            refused: Refusal::ALL.iter().map(|r| batches(r.row().code)).collect(),
            signals_accepted: signals("accepted"),
            signals_refused: SignalRefusal::ALL.iter().map(|r| signals(r.code())).collect(),
            body_bytes: metrics::counter!("logystera_gateway_body_bytes_total"),
            append_seconds: metrics::histogram!("logystera_gateway_append_seconds"),
            connections: metrics::gauge!("logystera_gateway_connections"),
            refused_unrecorded: metrics::counter!("logystera_gateway_refused_unrecorded_total"),
            ticks_missed: metrics::counter!("logystera_gateway_ticks_missed_total"),
        }
    }

    pub(crate) fn refused(&self, refusal: Refusal) {
        self.refused[refusal as usize].increment(1);
    }

    pub(crate) fn signal_refused(&self, refusal: SignalRefusal, count: u32) {
        self.signals_refused[refusal as usize].increment(u64::from(count));
    }
}
