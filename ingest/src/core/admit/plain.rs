//! The quick way through a body in which there is nothing unusual: no escapes, no unknown or repeated names, `type`
//! first in each signal, and every value one that the catalogue allows. Nearly all bodies are like that.
//!
//! It never refuses a body. It gives up on anything unexpected; then the careful way reads the body from its start and
//! alone judges it. What the quick way takes, the careful way would take with the same outcome.

use std::sync::LazyLock;

use logystera_schemas::avro::Writer;
use logystera_schemas::batch::{Platform, Value};
use logystera_schemas::catalogue::{
    CATALOGUE, FieldDef, FieldKind, IdentClass, SignalType, SignalTypes, TYPE_FIELDS_MAX,
};
use logystera_schemas::limits::{
    BATCH_SIGNALS_MAX, CLOCK_OFFSET_MS_MAX, FLUSH_EVERY_S_DEFAULT, FLUSH_EVERY_S_MAX, INTEGRATION_VERSION_CHARS_MAX,
    LIST_ITEMS_MAX, TIME_MS_MAX, TIME_MS_MIN,
};

use super::encoded::{Encoded, find, hash};
use super::outcome::{Admitted, RefusedSignals, Span, Terms};
use expected::Expected;

mod expected;

/// Reads a body; none if it is not plain.
pub(super) fn admit(text: &str, terms: &Terms) -> Option<Admitted> {
    let mut scan = Scan { text, at: 0 };
    let mut head = BodyHead::default();
    let mut signals = None;
    scan.object(|scan, name| {
        match name {
            "through" => once(&mut head.through, scan.int(TIME_MS_MIN, TIME_MS_MAX)?),
            "clock_offset_ms" => {
                let offset = scan.int(-CLOCK_OFFSET_MS_MAX, CLOCK_OFFSET_MS_MAX)?;
                // The times of signals that stand before it were judged without it.
                if signals.is_some() && offset != 0 {
                    return None;
                }
                once(&mut head.clock_offset_ms, offset)
            }
            "flush_every_s" => once(&mut head.flush_every_s, scan.int(1, i64::from(FLUSH_EVERY_S_MAX))?),
            "ends" => once(&mut head.ends, scan.boolean()?),
            "integration" => once(&mut head.integration, integration(scan)?),
            "signals" => {
                let times = terms.span(head.clock_offset_ms.unwrap_or(0));
                once(&mut signals, self::signals(scan, &times)?)
            }
            _ => None,
        }
    })?;
    scan.end()?;
    let integration = head.integration?;
    let through = head.through?;
    let signals = signals?;
    if !signals.allows(through) {
        return None;
    }
    let (base_at, accepted, signals) = signals.finish(through);
    Some(Admitted {
        through,
        clock_offset_ms: head.clock_offset_ms.unwrap_or(0),
        flush_every_s: head.flush_every_s.map_or(FLUSH_EVERY_S_DEFAULT, |s| s as u32),
        platform: integration.platform?,
        integration_version: integration.version.unwrap_or_default().to_owned(),
        enabled: integration.enabled?,
        base_at,
        ends: head.ends.unwrap_or(false),
        accepted,
        signals,
        refused: RefusedSignals::default(),
    })
}

/// The catalogue's names and symbols as bodies mostly spell them.
struct Spelling {
    /// The names `type` and `at`, quoted, with the colon.
    kind: Expected,
    at: Expected,
    /// The name of each type that senders may send, quoted, and the type.
    types: Vec<Expected>,
    sent: Vec<SignalType>,
    /// For each type, its fields.
    fields: Vec<Vec<FieldSpelling>>,
}

struct FieldSpelling {
    /// Its name, quoted, with the colon.
    name: Expected,
    /// Its symbols, quoted, if it has some.
    symbols: Vec<Expected>,
}

static SPELLING: LazyLock<Spelling> = LazyLock::new(|| {
    let quoted = |text: &String| Expected::new(format!("\"{text}\""));
    let member = |name: &str| Expected::new(format!("\"{name}\":"));
    let field = |field: &FieldDef| FieldSpelling {
        name: member(&field.name),
        symbols: field.kind.symbols().iter().map(quoted).collect(),
    };
    let sent = || SignalType::all().filter(|kind| kind.is_sent());
    Spelling {
        kind: member("type"),
        at: member("at"),
        types: sent().map(|kind| quoted(&kind.def().name)).collect(),
        sent: sent().collect(),
        fields: CATALOGUE.types.iter().map(|kind| kind.fields.iter().map(field).collect()).collect(),
    }
});

#[derive(Default)]
struct BodyHead<'a> {
    through: Option<i64>,
    clock_offset_ms: Option<i64>,
    flush_every_s: Option<i64>,
    ends: Option<bool>,
    integration: Option<Integration<'a>>,
}

#[derive(Default)]
struct Integration<'a> {
    platform: Option<Platform>,
    version: Option<&'a str>,
    enabled: Option<SignalTypes>,
}

/// Puts a value in its place; none if one was there.
fn once<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}

fn integration<'a>(scan: &mut Scan<'a>) -> Option<Integration<'a>> {
    let mut integration = Integration::default();
    scan.object(|scan, name| match name {
        "platform" => once(&mut integration.platform, Platform::from_symbol(scan.string()?)?),
        "version" => {
            let version = scan.string()?;
            let holds = version.len() <= INTEGRATION_VERSION_CHARS_MAX && IdentClass::Version.admits(version);
            once(&mut integration.version, holds.then_some(version)?)
        }
        "enabled" => {
            let mut types = SignalTypes::default();
            scan.list(LIST_ITEMS_MAX, |scan| {
                types.insert(SignalType::from_sent_name(scan.string()?)?);
                Some(())
            })?;
            once(&mut integration.enabled, types)
        }
        _ => None,
    })?;
    Some(integration)
}

fn signals(scan: &mut Scan<'_>, times: &Span) -> Option<Encoded> {
    let mut encoded = Encoded::new(Writer::with(Vec::with_capacity(scan.text.len() / 2)));
    let spelling = LazyLock::force(&SPELLING);
    scan.list(BATCH_SIGNALS_MAX, |scan| signal(scan, spelling, times, &mut encoded))?;
    Some(encoded)
}

fn signal(scan: &mut Scan<'_>, spelling: &Spelling, times: &Span, encoded: &mut Encoded) -> Option<()> {
    let mut hashes = [[0; 16]; TYPE_FIELDS_MAX];
    let mut rooms = hashes.iter_mut();
    let mut values = [Value::Absent; TYPE_FIELDS_MAX];
    scan.byte(b'{')?;
    if !scan.skip(&spelling.kind) && scan.name()? != "type" {
        return None;
    }
    let kind = *spelling.sent.get(scan.one_of(&spelling.types)?)?;
    let (fields, spelled) = (kind.def().fields.as_slice(), spelling.fields[kind.index()].as_slice());
    let (mut at, mut next) = (None, 0);
    while scan.more(b'}')? {
        // Senders keep an order: the name that is expected is compared where it stands.
        let place = if spelled.get(next).is_some_and(|field| scan.skip(&field.name)) {
            next
        } else {
            let name = if scan.skip(&spelling.at) { "at" } else { scan.name()? };
            if name == "at" {
                once(&mut at, scan.int(TIME_MS_MIN, TIME_MS_MAX)?)?;
                continue;
            }
            find(fields, name, next)?
        };
        next = place + 1;
        let value = match &fields[place].kind {
            FieldKind::Enum(_) => Value::Enum(scan.one_of(&spelled[place].symbols)? as u8),
            FieldKind::EnumList(_) => Value::List(list(scan, &spelled[place].symbols)?),
            FieldKind::Int { min, max } => Value::Int(scan.int(*min, *max)?),
            FieldKind::Bool => Value::Bool(scan.boolean()?),
            FieldKind::Hash => {
                let room = rooms.next()?;
                hash(scan.quoted(2 * room.len())?, room).then_some(Value::Hash(room))?
            }
            FieldKind::Ident { class, max } => {
                let text = scan.string()?;
                (text.len() <= *max && class.admits(text)).then_some(Value::Ident(text))?
            }
        };
        if std::mem::replace(&mut values[place], value) != Value::Absent {
            return None;
        }
    }
    let at = at.filter(|at| *at >= times.oldest_at)?;
    let values = &values[..fields.len()];
    let complete = fields.iter().zip(values).all(|(field, value)| field.optional || *value != Value::Absent);
    complete.then(|| encoded.push(kind, at, values, times))
}

/// The bits of a list's symbols, each of which stands there once.
fn list(scan: &mut Scan<'_>, symbols: &[Expected]) -> Option<u32> {
    let mut bits = 0_u32;
    scan.list(LIST_ITEMS_MAX, |scan| {
        let bit = 1 << scan.one_of(symbols)?;
        let new = bits & bit == 0;
        bits |= bit;
        new.then_some(())
    })?;
    Some(bits)
}

/// A place in a body. What is read there is JSON (RFC 8259), in the plainest of its spellings.
struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The next byte that is no white space.
    #[inline]
    fn token(&mut self) -> Option<u8> {
        loop {
            match self.peek()? {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                byte => return Some(byte),
            }
        }
    }

    #[inline]
    fn byte(&mut self, byte: u8) -> Option<()> {
        (self.token()? == byte).then(|| self.at += 1)
    }

    /// Moves past a comma (true: another member or item follows) or past `end` (false). Not for the first one.
    #[inline]
    fn more(&mut self, end: u8) -> Option<bool> {
        let token = self.token()?;
        self.at += 1;
        if token == b',' { Some(true) } else { (token == end).then_some(false) }
    }

    fn end(&mut self) -> Option<()> {
        self.token().is_none().then_some(())
    }

    /// An object that has members: `member` reads the value of each.
    fn object(&mut self, mut member: impl FnMut(&mut Self, &'a str) -> Option<()>) -> Option<()> {
        self.byte(b'{')?;
        loop {
            let name = self.name()?;
            member(self, name)?;
            if !self.more(b'}')? {
                return Some(());
            }
        }
    }

    /// A list of at most `max` items: `item` reads each.
    fn list(&mut self, max: usize, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.byte(b'[')?;
        if self.token()? == b']' {
            self.at += 1;
            return Some(());
        }
        for _ in 0..max {
            item(self)?;
            if !self.more(b']')? {
                return Some(());
            }
        }
        None
    }

    #[inline]
    fn name(&mut self) -> Option<&'a str> {
        let name = self.string()?;
        self.byte(b':')?;
        Some(name)
    }

    /// Moves past `expected`, if that stands here.
    #[inline]
    fn skip(&mut self, expected: &Expected) -> bool {
        let stands = self.text.as_bytes().get(self.at..).is_some_and(|rest| expected.begins(rest));
        self.at += if stands { expected.len() } else { 0 };
        stands
    }

    /// Which of these stands here.
    #[inline]
    fn one_of(&mut self, expected: &[Expected]) -> Option<usize> {
        self.token()?;
        expected.iter().position(|expected| self.skip(expected))
    }

    /// A string of `length` bytes, not checked: the caller checks each byte.
    #[inline]
    fn quoted(&mut self, length: usize) -> Option<&'a str> {
        self.byte(b'"')?;
        let start = self.at;
        self.at += length;
        self.quoted_from(start)
    }

    /// A string of ASCII without escapes.
    #[inline]
    fn string(&mut self) -> Option<&'a str> {
        self.byte(b'"')?;
        let start = self.at;
        let bytes = self.text.as_bytes();
        while let Some(word) = bytes.get(self.at..).and_then(<[u8]>::first_chunk::<8>) {
            let odd = odd_bytes(u64::from_le_bytes(*word));
            if odd != 0 {
                self.at += (odd.trailing_zeros() / 8) as usize;
                return self.quoted_from(start);
            }
            self.at += 8;
        }
        while self.peek().is_some_and(|b| (b' '..0x80).contains(&b) && b != b'"' && b != b'\\') {
            self.at += 1;
        }
        self.quoted_from(start)
    }

    #[inline]
    fn quoted_from(&mut self, start: usize) -> Option<&'a str> {
        if self.peek()? != b'"' {
            return None;
        }
        let text = self.text.get(start..self.at);
        self.at += 1;
        text
    }

    /// A whole number of at most 18 digits.
    #[inline]
    fn int(&mut self, min: i64, max: i64) -> Option<i64> {
        let negative = self.token()? == b'-';
        self.at += usize::from(negative);
        let start = self.at;
        let mut number = 0_i64;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            number = number.wrapping_mul(10).wrapping_add(i64::from(digit - b'0'));
            self.at += 1;
        }
        let digits = self.at - start;
        let leading_zero = self.text.as_bytes().get(start) == Some(&b'0') && (digits > 1 || negative);
        // A fraction, an exponent: not a whole number's plainest spelling.
        if !(1..=18).contains(&digits) || leading_zero || matches!(self.peek(), Some(b'.' | b'e' | b'E')) {
            return None;
        }
        let number = if negative { -number } else { number };
        (min..=max).contains(&number).then_some(number)
    }

    fn boolean(&mut self) -> Option<bool> {
        self.token()?;
        let rest = self.text.as_bytes().get(self.at..)?;
        let (truth, length) = if rest.starts_with(b"true") { (true, 4) } else { (false, 5) };
        if !truth && !rest.starts_with(b"false") {
            return None;
        }
        self.at += length;
        Some(truth)
    }
}

/// Marks, by its highest bit, each of the eight bytes that ends a string or is not plain in one: quotes, backslashes,
/// control characters, non-ASCII. Exact up to the first marked byte: a subtraction borrows only from later ones.
#[inline]
const fn odd_bytes(word: u64) -> u64 {
    const fn each(byte: u8) -> u64 {
        u64::from_ne_bytes([byte; 8])
    }
    const fn zero(word: u64) -> u64 {
        word.wrapping_sub(each(1)) & !word
    }
    let control = word.wrapping_sub(each(b' ')) & !word;
    (zero(word ^ each(b'"')) | zero(word ^ each(b'\\')) | control | word) & each(0x80)
}

#[cfg(test)]
mod tests;
