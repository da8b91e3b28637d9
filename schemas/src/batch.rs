//! The batch: the record that nearly all of the log consists of. Written by the gateway from checked JSON and read by
//! the engine borrowed from the log's bytes; nothing here allocates per signal.

use crate::avro::{Datum, DecodeError, Reader, Writer};
use crate::catalogue::{
    FieldKind, FieldLayout, LAYOUTS, Layouts, SIGNAL_TYPES, Shape, SignalType, SignalTypes, TYPE_FIELDS_MAX, TypeDef,
};
use crate::ids::{Sha256Digest, SpoolId};
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
        /// How often the sender promises a batch, in seconds.
        pub flush_every_s: u32,
        /// What the integration runs on.
        pub platform: Platform,
        /// Its version; empty if it was not said.
        pub integration_version: String,
        /// Signal types that are switched on at the site.
        pub enabled: SignalTypes,
        /// Signals of the body that were refused.
        pub refused: u32,
        /// Time that the signals' `at` is counted from.
        pub base_at: i64,
        /// Whether the sender says that this is its spool's last batch: the site's watermark waits for it no more.
        pub ends: bool where since 2,
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

    /// The signals, in the order of the body, found but not read.
    pub fn frames(&self) -> Frames<'a> {
        Frames { reader: self.signals, layouts: &LAYOUTS, base_at: self.head.base_at, left: 0, done: false }
    }

    /// The signals, in the order of the body, read whole.
    pub fn signals(&self) -> impl Iterator<Item = Result<Signal<'a>, DecodeError>> {
        self.frames().map(|frame| frame?.signal())
    }
}

/// Finds the signals of a batch one after the other. Each stands in an array block of its own, whose size says where
/// the next one starts; in other blocks it is found by reading over the fields.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    reader: Reader<'a>,
    layouts: &'static Layouts,
    base_at: i64,
    /// Signals left in the block.
    left: usize,
    done: bool,
}

impl<'a> Frames<'a> {
    #[inline]
    fn step(&mut self) -> Result<Option<Frame<'a>>, DecodeError> {
        if self.left == 0 {
            let (count, bytes) = self.reader.sized_block()?;
            if count == 0 {
                self.reader.end()?;
                return Ok(None);
            }
            self.left = count;
            if let (1, Some(bytes)) = (count, bytes) {
                self.left = 0;
                let mut body = Reader::new(self.reader.raw(bytes)?);
                return Frame::open(&mut body, self.base_at).map(Some);
            }
        }
        self.left -= 1;
        let start = self.reader.rest();
        let mut frame = Frame::open(&mut self.reader, self.base_at)?;
        self.layouts[frame.kind.index()].iter().try_for_each(|field| skip_field(&mut self.reader, *field))?;
        frame.bytes = &start[..start.len() - self.reader.rest().len()];
        Ok(Some(frame))
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Frame<'a>, DecodeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let step = self.step();
        self.done = !matches!(step, Ok(Some(_)));
        step.transpose()
    }
}

/// A signal of which only the type and the time were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Its type.
    pub kind: SignalType,
    /// Its time by the sender's clock, milliseconds since the epoch.
    pub at: i64,
    /// The whole encoded signal: the union's branch, then the record. [`Frame::of`] reads it again. If they end before
    /// fields that were added to the type since, those are absent.
    pub bytes: &'a [u8],
    /// Where its fields begin in `bytes`.
    fields_at: u8,
}

impl<'a> Frame<'a> {
    /// The signal that these bytes are.
    pub fn of(bytes: &'a [u8], base_at: i64) -> Result<Self, DecodeError> {
        Self::open(&mut Reader::new(bytes), base_at)
    }

    /// Reads the branch and the time; `bytes` is all that the reader had left before.
    #[inline]
    fn open(reader: &mut Reader<'a>, base_at: i64) -> Result<Self, DecodeError> {
        let bytes = reader.rest();
        let kind = SignalType::from_index(reader.index(SIGNAL_TYPES)?).ok_or(DecodeError::Range)?;
        let at = base_at.checked_add(reader.long()?).ok_or(DecodeError::Range)?;
        // A branch and a time take at most 20 bytes.
        Ok(Self { kind, at, bytes, fields_at: (bytes.len() - reader.rest().len()) as u8 })
    }

    /// Reads every field.
    pub fn signal(&self) -> Result<Signal<'a>, DecodeError> {
        let mut signal = Signal { kind: self.kind, at: self.at, fields: Default::default(), bytes: self.bytes };
        self.read(FieldSet::ALL, &mut signal.fields)?.end()?;
        Ok(signal)
    }

    /// Reads the `wanted` fields into their places and leaves the others as they are. What follows the last wanted one
    /// is not looked at.
    #[inline]
    pub fn read_fields(&self, wanted: FieldSet, into: &mut Fields<'a>) -> Result<(), DecodeError> {
        self.read(wanted, into).map(drop)
    }

    fn read(&self, wanted: FieldSet, into: &mut Fields<'a>) -> Result<Reader<'a>, DecodeError> {
        let mut reader = Reader::stored(&self.bytes[usize::from(self.fields_at)..]);
        let mut wanted = wanted.0;
        for (field, value) in LAYOUTS[self.kind.index()].iter().zip(into) {
            if wanted == 0 {
                break;
            }
            if wanted & 1 == 0 {
                skip_field(&mut reader, *field)?;
            } else if is_there(&mut reader, *field)? {
                *value = read_shape(&mut reader, field.shape, usize::from(field.symbols))?;
            } else {
                *value = Value::Absent;
            }
            wanted >>= 1;
        }
        Ok(reader)
    }
}

/// Values of a signal's fields, in the order of [`TypeDef::fields`]; the rest is absent.
pub type Fields<'a> = [Value<'a>; TYPE_FIELDS_MAX];

/// A set of a signal type's fields: a bit for each place in [`TypeDef::fields`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FieldSet(u16);

impl FieldSet {
    /// Every field.
    pub const ALL: Self = Self(u16::MAX);

    /// Adds the field at `place`.
    pub fn insert(&mut self, place: usize) {
        self.0 |= 1 << place;
    }

    /// Adds all fields of `other`.
    pub fn extend(&mut self, other: Self) {
        self.0 |= other.0;
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
    /// Its fields.
    pub fields: Fields<'a>,
    /// The whole encoded signal, as [`Frame::bytes`].
    pub bytes: &'a [u8],
}

impl Signal<'_> {
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

/// Whether the signal has the field. One that was added later stands in its type's newer signals only, be it absent
/// there.
#[inline]
fn is_there(reader: &mut Reader<'_>, field: FieldLayout) -> Result<bool, DecodeError> {
    if field.since > 1 && !reader.has(field.since) {
        return Ok(false);
    }
    Ok(!field.optional || reader.index(2)? == 1)
}

/// Moves past a field, its branch included.
#[inline]
fn skip_field(reader: &mut Reader<'_>, field: FieldLayout) -> Result<(), DecodeError> {
    if !is_there(reader, field)? {
        return Ok(());
    }
    match field.shape {
        Shape::Enum | Shape::Int => reader.long().map(drop),
        Shape::EnumList => read_list(reader, usize::from(field.symbols)).map(drop),
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

/// Appends one signal, a block of the array `signals`; `fields` as in [`Signal::fields`], checked by the caller against
/// the catalogue.
pub fn write_signal(to: &mut Writer, kind: SignalType, at: i64, base_at: i64, fields: &[Value<'_>]) {
    to.sized_block(1, |to| write_frame(to, kind, at.saturating_sub(base_at), fields));
}

/// Appends one signal as [`Frame::bytes`] has it: outside of a block, with its time counted from the base that
/// [`Frame::of`] will be given.
pub fn write_frame(to: &mut Writer, kind: SignalType, at: i64, fields: &[Value<'_>]) {
    to.long(kind.index() as i64);
    to.long(at);
    for (field, value) in LAYOUTS[kind.index()].iter().zip(fields) {
        if field.optional {
            to.long(i64::from(*value != Value::Absent));
        }
        write_value(to, value);
    }
}

/// The log's record for a batch: `head`, and the signals that [`write_signal`] wrote to `signals`.
pub fn encode(head: &BatchHead, signals: &[u8]) -> Vec<u8> {
    let mut to = Writer::with(Vec::with_capacity(256 + signals.len()));
    schema::begin(Kind::Batch, &mut to);
    head.write(&mut to);
    to.raw(signals);
    to.long(0);
    to.into_bytes()
}
