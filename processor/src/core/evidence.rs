//! Evidence: the newest matching signals of a group, cut to the fields that the rule allows.

use logystera_ruleset::{Rule, read_present, show_value, write_present};
use logystera_schemas::avro::{Datum, DecodeError, Reader, Writer};
use logystera_schemas::batch::{Fields, Value};
use logystera_schemas::catalogue::{SignalType, TYPE_FIELDS_MAX};
use logystera_schemas::detection::{self, Label};
use logystera_schemas::limits::{EVIDENCE_BYTES_MAX, EVIDENCE_SIGNALS_MAX, EVIDENCE_VALUE_BYTES_MAX};
use logystera_schemas::time::SiteMs;

/// Bytes that a signal counts for besides its values.
const SIGNAL_BYTES: usize = 16;
/// The most bytes that a value takes besides those that are shown: whether it is there, and its length.
const VALUE_FRAME_BYTES: usize = 3;
/// No signal has values of more bytes than this: every field at its longest.
const VALUES_BYTES_MAX: usize = TYPE_FIELDS_MAX * (EVIDENCE_VALUE_BYTES_MAX + 8);

/// Evidence of one group: at most 10 signals, 64 bytes a value, 512 bytes of values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Evidence {
    /// The signals in the order in which they were matched, each a [`Kept`] as it is stored: a group is put far more often
    /// than its evidence is shown.
    kept: Vec<u8>,
    /// Number of the signals.
    signals: u8,
    /// Bytes of their values as they are shown.
    shown: u16,
    /// Bytes that they count for against the site's bound.
    bytes: u16,
}

/// One signal of the evidence.
struct Kept<'a> {
    at: SiteMs,
    /// Bytes of the values as they are shown.
    shown: u16,
    /// The rule's evidence fields in its order, each after the branch that says whether it is there.
    values: &'a [u8],
}

impl Evidence {
    /// Takes a matching signal of type `signal`. `scratch` is a buffer whose contents do not matter.
    pub(crate) fn add(
        &mut self,
        rule: &Rule,
        signal: SignalType,
        fields: &Fields<'_>,
        at: SiteMs,
        scratch: &mut Writer,
    ) {
        if rule.evidence.is_empty() {
            return;
        }
        let mut shown = 0;
        scratch.truncate(0);
        for field in &rule.evidence {
            let value = cut(fields[*field]);
            write_present(scratch, &value);
            shown += shown_bytes(signal, *field, &value).min(EVIDENCE_VALUE_BYTES_MAX);
        }
        self.push(&Kept { at, shown: shown as u16, values: scratch.as_bytes() });
        while usize::from(self.signals) > EVIDENCE_SIGNALS_MAX || usize::from(self.shown) > EVIDENCE_BYTES_MAX {
            self.drop_oldest();
        }
    }

    fn push(&mut self, kept: &Kept<'_>) {
        let mut to = Writer::with(std::mem::take(&mut self.kept));
        kept.write(&mut to);
        self.kept = to.into_bytes();
        self.signals += 1;
        self.shown += kept.shown;
        self.bytes += kept.bytes();
    }

    fn drop_oldest(&mut self) {
        let mut reader = Reader::new(&self.kept);
        let Ok(oldest) = Kept::read(&mut reader) else { return self.clear() };
        self.signals -= 1;
        self.shown -= oldest.shown;
        self.bytes -= oldest.bytes();
        let len = self.kept.len() - reader.rest().len();
        self.kept.drain(..len);
    }

    /// The evidence as a detection shows it, oldest first.
    pub(crate) fn list(&self, rule: &Rule, signal: SignalType) -> Vec<detection::Evidence> {
        let mut reader = Reader::new(&self.kept);
        (0..self.signals).map_while(|_| Kept::read(&mut reader).ok()).map(|kept| kept.list(rule, signal)).collect()
    }

    /// The signals' times go back by `ms`.
    pub(crate) fn move_back(&mut self, ms: i64) {
        let before = std::mem::take(self);
        let mut reader = Reader::new(&before.kept);
        for kept in (0..before.signals).map_while(|_| Kept::read(&mut reader).ok()) {
            self.push(&Kept { at: kept.at.plus(-ms), ..kept });
        }
    }

    /// Bytes that it counts for against the site's bound.
    #[inline]
    pub(crate) fn bytes(&self) -> usize {
        usize::from(self.bytes)
    }

    /// Drops everything, because the rule shows other fields now.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// The most bytes that the evidence of a group of the rule can count for.
pub(crate) fn bytes_max(rule: &Rule) -> usize {
    let signal_bytes = SIGNAL_BYTES + VALUE_FRAME_BYTES * rule.evidence.len();
    if rule.evidence.is_empty() { 0 } else { EVIDENCE_BYTES_MAX + EVIDENCE_SIGNALS_MAX * signal_bytes }
}

impl<'a> Kept<'a> {
    fn bytes(&self) -> u16 {
        (SIGNAL_BYTES + self.values.len()) as u16
    }

    fn write(&self, to: &mut Writer) {
        self.at.write(to);
        self.shown.write(to);
        to.bytes(self.values);
    }

    fn read(from: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self { at: SiteMs::read(from)?, shown: u16::read(from)?, values: from.bytes()? })
    }

    fn list(&self, rule: &Rule, signal: SignalType) -> detection::Evidence {
        let mut reader = Reader::new(self.values);
        let mut fields = Vec::with_capacity(rule.evidence.len());
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
    let _ = show_value(signal, field, value, &mut text);
    text.truncate(EVIDENCE_VALUE_BYTES_MAX);
    text
}

/// Length of what [`show`] writes. Every match needs the length, only a detection the text.
fn shown_bytes(signal: SignalType, field: usize, value: &Value<'_>) -> usize {
    match value {
        Value::Absent => 0,
        Value::Hash(hash) => 2 * hash.len(),
        Value::Ident(text) => text.len(),
        Value::Bool(truth) => 5 - usize::from(*truth),
        Value::Int(number) => {
            usize::from(*number < 0) + number.unsigned_abs().checked_ilog10().map_or(1, |n| n as usize + 1)
        }
        Value::Enum(symbol) => {
            signal.def().fields[field].kind.symbols().get(usize::from(*symbol)).map_or(0, String::len)
        }
        Value::List(_) => shown(signal, field, value).len(),
    }
}

fn cut(value: Value<'_>) -> Value<'_> {
    match value {
        Value::Ident(text) => Value::Ident(text.get(..EVIDENCE_VALUE_BYTES_MAX).unwrap_or(text)),
        other => other,
    }
}

impl Datum for Evidence {
    fn write(&self, to: &mut Writer) {
        to.long(i64::from(self.signals));
        to.raw(&self.kept);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut evidence = Self::default();
        for _ in 0..from.index(EVIDENCE_SIGNALS_MAX + 1)? {
            let kept = Kept::read(from)?;
            if kept.values.len() > VALUES_BYTES_MAX || usize::from(kept.shown) > VALUES_BYTES_MAX {
                return Err(DecodeError::Range);
            }
            evidence.push(&kept);
        }
        Ok(evidence)
    }
}
