//! Logs to stderr and metrics in Prometheus' text format.

use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use logystera_schemas::limits::LOG_REPEAT_MS;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Level of what a filter does not name.
const LEVEL_DEFAULT: &str = "info";

/// Why logs or metrics could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not one.
    #[error(
        "not a log filter: {0}; expected one of error, warn, info, debug, trace and off, or target=level with commas between"
    )]
    Filter(String),
    /// It was done before.
    #[error("logs or metrics are already set up in this process")]
    Twice,
}

/// Buckets of times, in seconds: from a fast fsync to a request's deadline.
const SECONDS: [f64; 14] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 10.0];
/// Buckets of counts: of requests in a commit, of signals in a batch.
const COUNTS: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 1_024.0];

/// Standard error, on which the process does not depend: a line that cannot be written, for the disk is full or nobody reads any
/// more, is counted and lost.
struct Stderr;

impl Write for Stderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if io::stderr().lock().write_all(line).is_err() {
            metrics::counter!("logystera_log_lines_lost_total").increment(1);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps a log line that strangers or an outage can repeat from being written more than once in a while; the others are counted.
#[derive(Debug)]
pub struct Seldom {
    every_ms: i64,
    /// When the line was last written, and how many were left out since.
    state: Mutex<(Option<i64>, u64)>,
}

impl Default for Seldom {
    fn default() -> Self {
        Self::new()
    }
}

impl Seldom {
    /// At most one line in [`LOG_REPEAT_MS`].
    pub const fn new() -> Self {
        Self { every_ms: LOG_REPEAT_MS, state: Mutex::new((None, 0)) }
    }

    /// Whether to write the line at `now_ms` of a monotonic clock: then how many were left out since the last one.
    pub fn due(&self, now_ms: i64) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.0.is_some_and(|last_ms| now_ms.saturating_sub(last_ms) < self.every_ms) {
            state.1 += 1;
            return None;
        }
        state.0 = Some(now_ms);
        Some(std::mem::take(&mut state.1))
    }
}

/// Sends log lines to stderr. `filter` as in `RUST_LOG`: a level, or `target=level` with commas between. What it does not name has
/// the level `info`.
pub fn init_logs(format: LogFormat, filter: &str) -> Result<(), TelemetryError> {
    let filter = parse_filter(filter)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| Stderr).log_internal_errors(false);
    match format {
        LogFormat::Text => builder
            .with_ansi(is_coloured(std::io::stderr().is_terminal(), no_color().as_deref()))
            .with_target(false)
            .try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    }
    .map_err(|_| TelemetryError::Twice)
}

/// A filter. A word alone is a level: taken for a target, as `RUST_LOG` does, a mistyped one would log nothing at all.
fn parse_filter(text: &str) -> Result<EnvFilter, TelemetryError> {
    let failed = |what: String| TelemetryError::Filter(what);
    // With a blank before it a level would be taken for a target.
    let mut directives: Vec<&str> = text.split(',').map(str::trim).collect();
    for directive in &directives {
        let level = directive.rsplit_once('=').map_or(*directive, |(_, level)| level);
        let names_spans = directive.contains(['[', '{']);
        if !level.is_empty() && !names_spans && level.parse::<LevelFilter>().is_err() {
            return Err(failed(format!("{level} is no level")));
        }
    }
    // Without a level of its own the rest would be silent, errors too.
    if !directives.iter().any(|directive| directive.parse::<LevelFilter>().is_ok()) {
        directives.push(LEVEL_DEFAULT);
    }
    EnvFilter::try_new(directives.join(",")).map_err(|e| failed(e.to_string()))
}

/// Whether lines have colours: on a terminal, unless `NO_COLOR` is set to something (no-color.org).
fn is_coloured(is_terminal: bool, no_color: Option<&OsStr>) -> bool {
    is_terminal && no_color.is_none_or(OsStr::is_empty)
}

fn no_color() -> Option<OsString> {
    std::env::var_os("NO_COLOR")
}

/// The process's metrics.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Collects every metric of this process from here on.
    pub fn install() -> Result<Self, TelemetryError> {
        let recorder = builder().build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|_| TelemetryError::Twice)?;
        describe();
        Ok(Self(handle))
    }

    /// All metrics in Prometheus' text format.
    pub fn render(&self) -> String {
        self.0.run_upkeep();
        self.0.render()
    }

    /// Folds what histograms have gathered; to be called every few seconds if nobody scrapes, or it grows.
    pub fn upkeep(&self) {
        self.0.run_upkeep();
    }
}

fn builder() -> PrometheusBuilder {
    let builder = PrometheusBuilder::new();
    let seconds = Matcher::Suffix("_seconds".to_owned());
    // Refused only if a list is empty, and these are not.
    let with_seconds = builder.set_buckets_for_metric(seconds, &SECONDS);
    let with_counts = with_seconds.and_then(|b| b.set_buckets(&COUNTS));
    with_counts.unwrap_or_default()
}

fn describe() {
    metrics::describe_histogram!("logystera_log_commit_seconds", "Time of one commit of the log, fsync included.");
    metrics::describe_histogram!("logystera_log_commit_requests", "Appends and task commits that one fsync served.");
    metrics::describe_counter!("logystera_log_records_appended_total", "Records appended, by topic.");
    metrics::describe_counter!("logystera_log_commits_failed_total", "Commits that did not come about.");
    metrics::describe_counter!("logystera_log_lines_lost_total", "Log lines that could not be written.");
    metrics::describe_gauge!("logystera_log_wal_bytes", "Bytes of the write-ahead log beside the data.");
    metrics::describe_gauge!("logystera_log_queue_requests", "Appends and task commits that wait for the writer.");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_line_is_written_seldom_and_counted() {
        let seldom = Seldom::new();
        let told: Vec<_> = (0..=2 * LOG_REPEAT_MS).step_by(1_000).filter_map(|now| seldom.due(now)).collect();
        let between = LOG_REPEAT_MS as u64 / 1_000 - 1;
        assert_eq!(told, [0, between, between]);
    }

    #[test]
    fn a_mistyped_level_is_no_target() {
        for text in [
            "info",
            "DEBUG",
            "off",
            "",
            "warn,logystera_ingest=debug",
            "logystera_infra::log=trace, error",
            "[span]=info",
        ] {
            assert!(parse_filter(text).is_ok(), "{text}");
        }
        for (text, says) in [
            ("inof", "inof is no level; expected one of error, warn, info"),
            ("info,logystera_ingest", "logystera_ingest is no level"),
            ("logystera_ingest=inof", "inof is no level"),
        ] {
            let said = parse_filter(text).unwrap_err().to_string();
            assert!(said.contains(says), "{text}: {said}");
        }
    }

    #[test]
    fn what_a_filter_does_not_name_is_not_silent() {
        for (text, told) in [("gatway=debug", "info"), ("logystera_infra=trace, error", "error"), ("off", "off")] {
            let filter = parse_filter(text).unwrap().to_string();
            assert!(filter.split(',').any(|directive| directive == told), "{text}: {filter}");
        }
    }

    #[test]
    fn no_color_is_heeded() {
        for (is_terminal, no_color, coloured) in [
            (true, None, true),
            (true, Some(""), true),
            (true, Some("1"), false),
            (true, Some("0"), false),
            (false, None, false),
        ] {
            assert_eq!(is_coloured(is_terminal, no_color.map(OsStr::new)), coloured, "{is_terminal} {no_color:?}");
        }
    }

    #[test]
    fn metrics_are_rendered_with_buckets() {
        let recorder = builder().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            metrics::histogram!("logystera_log_commit_seconds").record(0.002);
            metrics::histogram!("logystera_log_commit_requests").record(3.0);
            metrics::counter!("logystera_log_records_appended_total", "topic" => "signals").increment(7);
        });
        let text = handle.render();
        for line in [
            "logystera_log_commit_seconds_bucket{le=\"0.001\"} 0",
            "logystera_log_commit_seconds_bucket{le=\"0.0025\"} 1",
            "logystera_log_commit_requests_bucket{le=\"2\"} 0",
            "logystera_log_commit_requests_bucket{le=\"4\"} 1",
            "logystera_log_records_appended_total{topic=\"signals\"} 7",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
        }
    }
}
