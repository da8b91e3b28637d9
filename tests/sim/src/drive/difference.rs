//! What a drive finds.

use std::fmt;

use logystera_schemas::detection::Detection;

use crate::input::show_time;
use crate::model::Output;

/// The first place at which the engine and the model differ.
#[derive(Clone, Debug)]
pub struct Difference {
    /// Which way of driving found it.
    pub drive: &'static str,
    /// Place of the record in the log; none where it is not known.
    pub place: Option<usize>,
    /// What the model says.
    pub expected: Vec<Output>,
    /// What the engine says.
    pub got: Vec<Output>,
    /// What went wrong, where it is not the outputs.
    pub what: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "driven by: {}", self.drive)?;
        if !self.what.is_empty() {
            writeln!(f, "{}", self.what)?;
        }
        if let Some(place) = self.place {
            writeln!(f, "at record {place}")?;
        }
        let same = self.expected.iter().zip(&self.got).take_while(|(a, b)| a == b).count();
        if same > 0 {
            writeln!(f, "the first {same} outputs of the record are the same; then:")?;
        }
        for (who, outputs) in [("model ", &self.expected), ("engine", &self.got)] {
            if outputs.len() == same {
                writeln!(f, "{who}: nothing")?;
            }
            for output in outputs.iter().skip(same).take(SHOWN_MAX) {
                match output {
                    Output::Detection(d) => writeln!(f, "{who}: {}", show_detection(d))?,
                    Output::Tick(t) => writeln!(f, "{who}: tick {}", show_time(t.at.0))?,
                    Output::Points(points) => writeln!(f, "{who}: {points:?}")?,
                }
            }
        }
        Ok(())
    }
}

/// Outputs of each side that a difference shows.
const SHOWN_MAX: usize = 4;

/// What a run was like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Records.
    pub records: u64,
    /// Signals in them.
    pub signals: u64,
    /// Detections.
    pub detections: u64,
    /// Records of what metrics counted.
    pub points: u64,
}

impl Figures {
    /// Adds another run's.
    pub fn add(&mut self, other: Self) {
        self.records += other.records;
        self.signals += other.signals;
        self.detections += other.detections;
        self.points += other.points;
    }
}

/// One detection on one line.
fn show_detection(d: &Detection) -> String {
    let group: Vec<String> = d.group.iter().map(|l| format!("{}={}", l.field, l.value)).collect();
    let evidence: Vec<String> = d
        .evidence
        .iter()
        .map(|e| {
            let fields: Vec<String> = e.fields.iter().map(|l| format!("{}={:.20}", l.field, l.value)).collect();
            format!("{}{{{}}}", show_time(e.at), fields.join(" "))
        })
        .collect();
    format!(
        "{} {} rule={} [{}] {}/{} count={} held={} started={} now={} evidence=[{}] message={:?} rev={} id={} chain={:.6}",
        d.site,
        d.seq,
        d.rule,
        group.join(" "),
        d.state,
        d.reason,
        d.count,
        d.held,
        show_time(d.started_at),
        show_time(d.last_evaluated_at),
        evidence.join(" "),
        d.message,
        d.revision,
        d.id,
        d.chain.to_string(),
    )
}
