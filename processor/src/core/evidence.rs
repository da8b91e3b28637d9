//! Evidence: the newest matching signals of a group, cut to the fields that the rule allows.

use std::collections::VecDeque;

use logystera_schemas::avro::{Datum, DecodeError, Reader, Writer};
use logystera_schemas::batch::{Signal, Value, read_value, write_value};
use logystera_schemas::catalogue::SignalType;
use logystera_schemas::detection::{self, Label};
use logystera_schemas::limits::{EVIDENCE_BYTES_MAX, EVIDENCE_SIGNALS_MAX, EVIDENCE_VALUE_BYTES_MAX};
use logystera_schemas::time::SiteMs;
use smallvec::SmallVec;

use super::rule::{Rule, show};

/// Evidence of one group: at most 10 signals, 64 bytes a value, 512 bytes of values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// In the order in which they were matched.
    signals: VecDeque<Kept>,
    /// Sum of `Kept::shown`.
    shown: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Kept {
    at: SiteMs,
    /// Bytes of the values as they are shown.
    shown: u16,
    /// The rule's evidence fields in its order, each with the branch that says whether it is there.
    values: SmallVec<[u8; 32]>,
}

impl Evidence {
    /// Takes a matching signal.
    pub fn add(&mut self, rule: &Rule, signal: &Signal<'_>, at: SiteMs) {
        if rule.evidence.is_empty() {
            return;
        }
        let (mut values, mut shown) = (Writer::new(), 0);
        let mut text = String::new();
        for field in &rule.evidence {
            let value = cut(signal.fields[*field]);
            write_present(&mut values, &value);
            text.clear();
            // Writing to a string does not fail.
            let _ = show(signal.kind, *field, &value, &mut text);
            shown += text.len().min(EVIDENCE_VALUE_BYTES_MAX);
        }
        self.signals.push_back(Kept { at, shown: shown as u16, values: SmallVec::from_vec(values.into_bytes()) });
        self.shown += shown;
        while self.signals.len() > EVIDENCE_SIGNALS_MAX || self.shown > EVIDENCE_BYTES_MAX {
            self.shown -= self.signals.pop_front().map_or(0, |kept| usize::from(kept.shown));
        }
    }

    /// The evidence as a detection shows it, oldest first.
    pub fn list(&self, rule: &Rule, signal: SignalType) -> Vec<detection::Evidence> {
        self.signals.iter().map(|kept| kept.list(rule, signal)).collect()
    }

    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        self.signals.iter().map(|kept| 16 + kept.values.len()).sum()
    }

    /// Drops everything: the rule's evidence fields have changed.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Kept {
    fn list(&self, rule: &Rule, signal: SignalType) -> detection::Evidence {
        let mut reader = Reader::new(&self.values);
        let mut fields = Vec::new();
        for field in &rule.evidence {
            let def = &signal.def().fields[*field];
            let Ok(value) = read_present(&mut reader, &def.kind) else { break };
            if value != Value::Absent {
                fields.push(Label { field: def.name.clone(), value: shown(signal, *field, &value) });
            }
        }
        detection::Evidence { at: self.at.0, fields }
    }
}

/// A value as evidence shows it: at most 64 bytes. All values are ASCII.
fn shown(signal: SignalType, field: usize, value: &Value<'_>) -> String {
    let mut text = String::new();
    let _ = show(signal, field, value, &mut text);
    text.truncate(EVIDENCE_VALUE_BYTES_MAX);
    text
}

fn cut(value: Value<'_>) -> Value<'_> {
    match value {
        Value::Ident(text) => Value::Ident(text.get(..EVIDENCE_VALUE_BYTES_MAX).unwrap_or(text)),
        other => other,
    }
}

/// Writes a value after the branch that says whether it is there.
pub fn write_present(to: &mut Writer, value: &Value<'_>) {
    to.long(i64::from(*value != Value::Absent));
    write_value(to, value);
}

/// Reads what [`write_present`] wrote.
pub fn read_present<'a>(
    from: &mut Reader<'a>,
    kind: &logystera_schemas::catalogue::FieldKind,
) -> Result<Value<'a>, DecodeError> {
    if from.index(2)? == 0 { Ok(Value::Absent) } else { read_value(from, kind) }
}

impl Datum for Evidence {
    fn write(&self, to: &mut Writer) {
        to.long(self.signals.len() as i64);
        for kept in &self.signals {
            kept.at.write(to);
            to.long(i64::from(kept.shown));
            to.bytes(&kept.values);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut evidence = Self::default();
        for _ in 0..from.index(EVIDENCE_SIGNALS_MAX + 1)? {
            let (at, shown) = (SiteMs::read(from)?, u16::read(from)?);
            evidence.shown += usize::from(shown);
            evidence.signals.push_back(Kept { at, shown, values: SmallVec::from_slice(from.bytes()?) });
        }
        Ok(evidence)
    }
}
