//! The batch: the record that nearly all of the log consists of. Written by the gateway from checked JSON and read by the
//! engine borrowed from the log's bytes; nothing here allocates per signal.

use crate::avro::{Datum, DecodeError, Reader, Writer};
use crate::catalogue::{
    FieldKind, LAYOUTS, Layouts, SIGNAL_TYPES, Shape, SignalType, SignalTypes, TYPE_FIELDS_MAX, TypeDef,
};
use crate::ids::{Sha256Digest, SpoolId};
use crate::limits::BATCH_SIGNALS_MAX;
use crate::schema::{self, Kind};
use crate::{avro_enum, avro_record};

avro_enum! {
    /// What an integration runs on.
    pub enum Platform {
        /// WordPress.
        Wordpress = "wordpress",
        /// Drupal.
        Drupal = "drupal",
        /// Anything else that speaks the batch format.
        Other = "other",
    }
}

avro_record! {
    /// What is said of a batch before its signals.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct BatchHead {
        /// Tenant of the key that signed.
        pub tenant: crate::ids::TenantId,
        /// Site of the key that signed.
        pub site: crate::ids::SiteId,
        /// Id of the key that signed.
        pub key: crate::ids::KeyId,
        /// Id of the key that the values are encrypted under.
        pub encryption_key: Option<String>,
        /// Spool that the batch was cut from.
        pub spool: SpoolId,
        /// Number in its spool, from 1.
        pub seq: u64,
        /// SHA-256 of the body as it was sent.
        pub digest: Sha256Digest,
        /// The gateway's clock, milliseconds since the epoch.
        pub received_at: i64,
        /// The spool's watermark by the sender's clock.
        pub through: i64,
        /// Server minus sender, in milliseconds.
        pub clock_offset_ms: i64,
        /// How often the sender promises to speak.
        pub flush_every_s: u32,
        /// What the integration runs on.
        pub platform: Platform,
        /// Its version; empty where it was not said.
        pub integration_version: String,
        /// Signal types that are switched on at the site.
        pub enabled: SignalTypes,
        /// Signals of the body that were refused.
        pub refused: u32,
        /// Time that the signals' `at` is counted from.
        pub base_at: i64,
    }
}

/// A batch as it stands in the log.
#[derive(Clone, Debug)]
pub struct Batch<'a> {
    /// What is said of it.
    pub head: BatchHead,
    signals: Reader<'a>,
}

impl<'a> Batch<'a> {
    /// Reads a batch whose single-object header was already taken off. The signals are checked when they are read.
    pub fn read(mut reader: Reader<'a>) -> Result<Self, DecodeError> {
        let head = BatchHead::read(&mut reader)?;
        Ok(Self { head, signals: reader })
    }

    /// The signals, in the order of the body.
    pub fn signals(&self) -> Signals<'a> {
        let (reader, base_at) = (self.signals, self.head.base_at);
        Signals {
            reader,
            layouts: &LAYOUTS,
            base_at,
            wanted: SignalTypes::ALL,
            left: 0,
            done: false,
            current: Signal::blank(),
        }
    }
}

/// Reads the signals of a batch one after the other. [`Self::step`] is the fast way: an iterator's item is copied twice.
#[derive(Clone, Debug)]
pub struct Signals<'a> {
    reader: Reader<'a>,
    layouts: &'static Layouts,
    base_at: i64,
    wanted: SignalTypes,
    left: usize,
    done: bool,
    current: Signal<'a>,
}

impl<'a> Signals<'a> {
    /// Reads the fields of signals of these types only. The others have their type, time and bytes, and every field is
    /// absent: what no rule reads is skipped, which takes a third less time.
    #[must_use]
    pub fn reading(self, types: SignalTypes) -> Self {
        Self { wanted: types, ..self }
    }

    /// The next signal; none after the last one, or after an error.
    #[inline]
    pub fn step(&mut self) -> Result<Option<&Signal<'a>>, DecodeError> {
        if self.done {
            return Ok(None);
        }
        // An error leaves it set.
        self.done = true;
        if self.left == 0 {
            self.left = self.reader.block()?;
            if self.left == 0 {
                self.reader.end()?;
                return Ok(None);
            }
        }
        self.left -= 1;
        self.current.fill(self.layouts, self.wanted, &mut self.reader, self.base_at)?;
        self.done = false;
        Ok(Some(&self.current))
    }
}

impl<'a> Iterator for Signals<'a> {
    type Item = Result<Signal<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().map(Option::<&Signal<'a>>::copied).transpose()
    }
}

/// A field's value, borrowed from the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Value<'a> {
    /// The signal lacks the field.
    #[default]
    Absent,
    /// Place of an enum's symbol.
    Enum(u8),
    /// Places of a list's symbols, a bit each.
    List(u32),
    /// A whole number.
    Int(i64),
    /// True or false.
    Bool(bool),
    /// A keyed hash.
    Hash(&'a [u8; 16]),
    /// An identifier.
    Ident(&'a str),
}

/// One signal, borrowed from its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal<'a> {
    /// Its type.
    pub kind: SignalType,
    /// Its time by the sender's clock, milliseconds since the epoch.
    pub at: i64,
    /// Its fields, in the order of [`TypeDef::fields`]; the rest is absent.
    pub fields: [Value<'a>; TYPE_FIELDS_MAX],
    /// The whole encoded signal: the union's branch, then the record. [`Signal::read`] reads it again.
    pub bytes: &'a [u8],
}

impl<'a> Signal<'a> {
    /// Reads one signal: the union's branch, then the record.
    pub fn read(reader: &mut Reader<'a>, base_at: i64) -> Result<Self, DecodeError> {
        let mut signal = Self::blank();
        signal.fill(&LAYOUTS, SignalTypes::ALL, reader, base_at)?;
        Ok(signal)
    }

    fn blank() -> Self {
        Self { kind: SignalType::FIRST, at: 0, fields: [Value::Absent; TYPE_FIELDS_MAX], bytes: &[] }
    }

    /// Makes this the next signal of `reader`. After an error it is none.
    fn fill(
        &mut self,
        layouts: &Layouts,
        wanted: SignalTypes,
        reader: &mut Reader<'a>,
        base_at: i64,
    ) -> Result<(), DecodeError> {
        let start = reader.rest();
        self.kind = SignalType::from_index(reader.index(SIGNAL_TYPES)?).ok_or(DecodeError::Range)?;
        self.at = base_at.checked_add(reader.long()?).ok_or(DecodeError::Range)?;
        self.fields = [Value::Absent; TYPE_FIELDS_MAX];
        let layout = &layouts[self.kind.index()];
        if wanted.contains(self.kind) {
            for (field, value) in layout.iter().zip(&mut self.fields) {
                if !field.optional || reader.index(2)? == 1 {
                    *value = read_shape(reader, field.shape, usize::from(field.symbols))?;
                }
            }
        } else {
            for field in layout {
                if !field.optional || reader.index(2)? == 1 {
                    skip_shape(reader, field.shape, usize::from(field.symbols))?;
                }
            }
        }
        self.bytes = &start[..start.len() - reader.rest().len()];
        Ok(())
    }

    /// What the catalogue says of its type.
    pub fn def(&self) -> &'static TypeDef {
        self.kind.def()
    }
}

/// Reads a value of a field of this kind that is there.
pub fn read_value<'a>(reader: &mut Reader<'a>, kind: &FieldKind) -> Result<Value<'a>, DecodeError> {
    read_shape(reader, kind.shape(), kind.symbols().len())
}

#[expect(clippy::inline_always, reason = "out of line its result is copied through memory: a third of the decode")]
#[inline(always)]
fn read_shape<'a>(reader: &mut Reader<'a>, shape: Shape, symbols: usize) -> Result<Value<'a>, DecodeError> {
    Ok(match shape {
        Shape::Enum => Value::Enum(reader.index(symbols)? as u8),
        Shape::EnumList => Value::List(read_list(reader, symbols)?),
        Shape::Int => Value::Int(reader.long()?),
        Shape::Bool => Value::Bool(reader.boolean()?),
        Shape::Hash => Value::Hash(reader.fixed()?),
        Shape::Ident => Value::Ident(reader.string()?),
    })
}

#[inline]
fn skip_shape(reader: &mut Reader<'_>, shape: Shape, symbols: usize) -> Result<(), DecodeError> {
    match shape {
        Shape::Enum | Shape::Int => reader.long().map(drop),
        Shape::EnumList => read_list(reader, symbols).map(drop),
        Shape::Bool => reader.raw(1).map(drop),
        Shape::Hash => reader.raw(16).map(drop),
        Shape::Ident => reader.bytes().map(drop),
    }
}

fn read_list(reader: &mut Reader<'_>, symbols: usize) -> Result<u32, DecodeError> {
    let mut bits = 0;
    loop {
        match reader.block()? {
            0 => return Ok(bits),
            n if n > symbols => return Err(DecodeError::Range),
            n => {
                for _ in 0..n {
                    bits |= 1 << reader.index(symbols)?;
                }
            }
        }
    }
}

/// Writes a value without the branch that says whether it is there. An absent one writes nothing.
pub fn write_value(to: &mut Writer, value: &Value<'_>) {
    match value {
        Value::Absent => {}
        Value::Enum(index) => to.long(i64::from(*index)),
        Value::List(bits) => {
            if *bits != 0 {
                to.long(i64::from(bits.count_ones()));
                (0..32).filter(|i| bits & 1 << i != 0).for_each(|i| to.long(i));
            }
            to.long(0);
        }
        Value::Int(number) => to.long(*number),
        Value::Bool(truth) => to.boolean(*truth),
        Value::Hash(hash) => to.raw(*hash),
        Value::Ident(text) => to.bytes(text.as_bytes()),
    }
}

/// Appends one signal; `fields` as in [`Signal::fields`], checked by the caller against the catalogue.
pub fn write_signal(to: &mut Writer, kind: SignalType, at: i64, base_at: i64, fields: &[Value<'_>]) {
    to.long(kind.index() as i64);
    to.long(at.saturating_sub(base_at));
    for (field, value) in LAYOUTS[kind.index()].iter().zip(fields) {
        if field.optional {
            to.long(i64::from(*value != Value::Absent));
        }
        write_value(to, value);
    }
}

/// The log's record for a batch: `head`, and `count` signals that [`write_signal`] wrote to `signals`.
pub fn encode(head: &BatchHead, count: usize, signals: &[u8]) -> Vec<u8> {
    debug_assert!(count <= BATCH_SIGNALS_MAX);
    let mut to = Writer::with(Vec::with_capacity(256 + signals.len()));
    schema::begin(Kind::Batch, &mut to);
    head.write(&mut to);
    if count > 0 {
        to.long(count as i64);
        to.raw(signals);
    }
    to.long(0);
    to.into_bytes()
}
