//! A field's value: as people see it, as keys and evidence store it, and as 16 bytes that stand for it.

use std::fmt;

use logystera_schemas::avro::{DecodeError, Reader, Writer};
use logystera_schemas::batch::{Value, read_value, write_value};
use logystera_schemas::catalogue::{FieldKind, SignalType};
use logystera_schemas::ids::write_hex;
use sha2::{Digest, Sha256};

/// A field's value as evidence, messages and JSON show it.
pub fn show(signal_type: SignalType, field: usize, value: &Value<'_>, to: &mut impl fmt::Write) -> fmt::Result {
    let symbols = match &signal_type.def().fields[field].kind {
        FieldKind::Enum(symbols) | FieldKind::EnumList(symbols) => symbols.as_slice(),
        _ => &[],
    };
    match value {
        Value::Absent => Ok(()),
        Value::Enum(symbol) => to.write_str(symbols.get(usize::from(*symbol)).map_or("", String::as_str)),
        Value::List(bits) => {
            let mut separator = "";
            for (i, symbol) in symbols.iter().enumerate() {
                if bits & 1 << i != 0 {
                    write!(to, "{separator}{symbol}")?;
                    separator = ",";
                }
            }
            Ok(())
        }
        Value::Int(number) => write!(to, "{number}"),
        Value::Bool(truth) => write!(to, "{truth}"),
        Value::Hash(hash) => write_hex(*hash, to),
        Value::Ident(text) => to.write_str(text),
    }
}

/// Writes whether the value is there (the branch of an Avro union), then the value.
#[inline]
pub fn write_present(to: &mut Writer, value: &Value<'_>) {
    to.long(i64::from(*value != Value::Absent));
    write_value(to, value);
}

/// Reads what [`write_present`] wrote.
#[inline]
pub fn read_present<'a>(from: &mut Reader<'a>, kind: &FieldKind) -> Result<Value<'a>, DecodeError> {
    if from.index(2)? == 0 { Ok(Value::Absent) } else { read_value(from, kind) }
}

/// 16 bytes that stand for a value: a hash is itself, anything else the first half of its SHA-256.
#[inline]
pub fn digest(value: &Value<'_>) -> [u8; 16] {
    if let Value::Hash(hash) = value {
        return **hash;
    }
    let mut to = Writer::new();
    write_present(&mut to, value);
    let digest: [u8; 32] = Sha256::digest(to.into_bytes()).into();
    let mut head = [0; 16];
    head.copy_from_slice(&digest[..16]);
    head
}
