//! The gateway's metrics. Every label's values are those of a table of ours: nobody can add one by sending something.

use metrics::{Counter, Gauge, Histogram};

use crate::core::refusal::{Refusal, SignalRefusal};
use crate::server::DoorMeters;

/// Handles that are made once: to look a metric up by name costs more than to count.
pub(crate) struct Meters {
    pub(crate) accepted: Counter,
    pub(crate) duplicate: Counter,
    refused: Vec<Counter>,
    pub(crate) signals_accepted: Counter,
    signals_refused: Vec<Counter>,
    pub(crate) body_bytes: Counter,
    pub(crate) append_seconds: Histogram,
    pub(crate) door: DoorMeters,
    pub(crate) refused_unrecorded: Counter,
    pub(crate) ticks_missed: Counter,
    pub(crate) ticks_withheld: Counter,
    pub(crate) ticker: Gauge,
    clock_skew_ms: Gauge,
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
        metrics::describe_counter!(
            "logystera_gateway_connections_shed_total",
            "Connections without a batch that made room, by why: their peer had too many, or all places were taken."
        );
        metrics::describe_counter!(
            "logystera_gateway_ticks_withheld_total",
            "Seconds without ticks: connections found no room, or other gateways contradict the clock."
        );
        metrics::describe_gauge!("logystera_gateway_ticker", "1: of all gateways this one writes the ticks.");
        metrics::describe_gauge!(
            "logystera_clock_skew_ms",
            "Milliseconds that the clock is ahead of other gateways', or (below 0) behind the log's."
        );
        let shed = |why: &'static str| metrics::counter!("logystera_gateway_connections_shed_total", "why" => why);
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
            door: DoorMeters {
                open: metrics::gauge!("logystera_gateway_connections"),
                shed_for_peer: shed("peer"),
                shed_for_room: shed("room"),
            },
            refused_unrecorded: metrics::counter!("logystera_gateway_refused_unrecorded_total"),
            ticks_missed: metrics::counter!("logystera_gateway_ticks_missed_total"),
            clock_skew_ms: metrics::gauge!("logystera_clock_skew_ms"),
            ticks_withheld: metrics::counter!("logystera_gateway_ticks_withheld_total"),
            ticker: metrics::gauge!("logystera_gateway_ticker"),
        }
    }

    pub(crate) fn refused(&self, refusal: Refusal) {
        self.refused[refusal as usize].increment(1);
    }

    #[expect(clippy::cast_precision_loss, reason = "285,000 years are told exactly")]
    pub(crate) fn clock_skew(&self, ms: i64) {
        self.clock_skew_ms.set(ms as f64);
    }

    pub(crate) fn signal_refused(&self, refusal: SignalRefusal, count: u32) {
        self.signals_refused[refusal as usize].increment(u64::from(count));
    }
}
