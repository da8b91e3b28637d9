//! Values with one Avro encoding.

use super::{DecodeError, Reader, Writer};

/// A value with one Avro encoding.
pub trait Datum: Sized {
    /// Appends the encoding.
    fn write(&self, to: &mut Writer);
    /// Reads one value.
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError>;
}

macro_rules! long_datum {
    ($($type:ty),*) => {$(
        impl Datum for $type {
            fn write(&self, to: &mut Writer) {
                to.long(i64::try_from(*self).unwrap_or(i64::MAX));
            }
            fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Self::try_from(from.long()?).map_err(|_| DecodeError::Range)
            }
        }
    )*};
}
long_datum!(i64, u64, i32, u32, u16);

macro_rules! time_datum {
    ($($type:ty),*) => {$(
        impl Datum for $type {
            fn write(&self, to: &mut Writer) {
                to.long(self.0);
            }
            fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self(from.long()?))
            }
        }
    )*};
}
time_datum!(crate::time::SiteMs, crate::time::WallMs, crate::time::OpenMs);

macro_rules! fixed_datum {
    ($($type:ty),*) => {$(
        impl Datum for $type {
            fn write(&self, to: &mut Writer) {
                to.raw(&self.0);
            }
            fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self(*from.fixed()?))
            }
        }
    )*};
}
fixed_datum!(
    crate::ids::SpoolId,
    crate::ids::Sha256Digest,
    crate::ids::EpisodeId,
    crate::ids::DeliveryId,
    crate::ids::ResendId
);

macro_rules! text_datum {
    ($($type:ty),*) => {$(
        impl Datum for $type {
            fn write(&self, to: &mut Writer) {
                to.bytes(self.as_str().as_bytes());
            }
            fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(from.string()?.parse::<Self>()?)
            }
        }
    )*};
}
text_datum!(
    crate::ids::TenantId,
    crate::ids::SiteId,
    crate::ids::KeyId,
    crate::ids::ChannelId,
    crate::ids::SilenceId,
    crate::ids::RuleName
);

impl Datum for String {
    fn write(&self, to: &mut Writer) {
        to.bytes(self.as_bytes());
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.string().map(str::to_owned)
    }
}

impl Datum for bool {
    fn write(&self, to: &mut Writer) {
        to.boolean(*self);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.boolean()
    }
}

/// Bytes of any length (`Vec<T>` is an array).
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Blob(pub Vec<u8>);

impl std::fmt::Debug for Blob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Datum for Blob {
    fn write(&self, to: &mut Writer) {
        to.bytes(&self.0);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.bytes().map(|b| Self(b.to_vec()))
    }
}

impl<T: Datum> Datum for Option<T> {
    fn write(&self, to: &mut Writer) {
        match self {
            None => to.long(0),
            Some(value) => {
                to.long(1);
                value.write(to);
            }
        }
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match from.index(2)? {
            0 => Ok(None),
            _ => T::read(from).map(Some),
        }
    }
}

impl<T: Datum> Datum for Vec<T> {
    fn write(&self, to: &mut Writer) {
        if !self.is_empty() {
            to.long(self.len() as i64);
            for item in self {
                item.write(to);
            }
        }
        to.long(0);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut items = Self::new();
        loop {
            match from.block()? {
                0 => return Ok(items),
                // Every item of ours takes at least a byte, so a count above the rest is a lie that must not allocate.
                n if n > from.rest().len() => return Err(DecodeError::Truncated),
                n => {
                    for _ in 0..n {
                        items.push(T::read(from)?);
                    }
                }
            }
        }
    }
}
