//! Signals on their way into bytes, for the quick way and the careful one.

use logystera_schemas::avro::Writer;
use logystera_schemas::batch::{Value, write_signal};
use logystera_schemas::catalogue::{FieldDef, SignalType};

use super::outcome::Span;

/// The signals that were taken, encoded.
pub(super) struct Encoded {
    writer: Writer,
    base_at: Option<i64>,
    count: usize,
    /// The newest time of those that do not lie ahead of the gateway's clock.
    newest_at: i64,
}

impl Encoded {
    pub(super) fn new(writer: Writer) -> Self {
        Self { writer, base_at: None, count: 0, newest_at: i64::MIN }
    }

    pub(super) fn push(&mut self, kind: SignalType, at: i64, fields: &[Value<'_>], span: &Span) {
        let base_at = *self.base_at.get_or_insert(at);
        if at <= span.ahead_at {
            self.newest_at = self.newest_at.max(at);
        }
        write_signal(&mut self.writer, kind, at, base_at, fields);
        self.count += 1;
    }

    /// Whether a batch of these signals may have this `through`: at least the newest signal's time less 1 ms, signals
    /// ahead of the gateway's clock left out.
    pub(super) fn allows(&self, through: i64) -> bool {
        through >= self.newest_at.saturating_sub(1)
    }

    /// The time that the others are counted from (`through` if there are no signals), the count and the bytes.
    pub(super) fn finish(self, through: i64) -> (i64, usize, Vec<u8>) {
        (self.base_at.unwrap_or(through), self.count, self.writer.into_bytes())
    }
}

/// The place of `name` in `fields`, looked for from `next` on, then from the start.
pub(super) fn find(fields: &[FieldDef], name: &str, next: usize) -> Option<usize> {
    let found = |i: &usize| fields.get(*i).is_some_and(|f| f.name.len() == name.len() && f.name == name);
    (next..fields.len()).find(found).or_else(|| (0..next).find(found))
}

/// Reads a hash into `to`; says whether `text` is one.
pub(super) fn hash(text: &str, to: &mut [u8; 16]) -> bool {
    logystera_schemas::ids::from_hex(text).map(|bytes| *to = bytes).is_some()
}
