//! Declares records and enums together with their Avro encoding.

/// Declares a record whose fields are written in the order in which they stand, as its `.avsc` has them. A field that
/// was added in a later version of the schema says so: `ends: bool where since 2`. Bytes of a version before give it
/// its default.
#[macro_export]
macro_rules! avro_record {
    ($(#[$meta:meta])* $vis:vis struct $name:ident { $($(#[$field_meta:meta])* $field_vis:vis $field:ident: $type:ty $(where since $since:literal)?),* $(,)? }) => {
        $(#[$meta])*
        $vis struct $name { $($(#[$field_meta])* $field_vis $field: $type),* }

        impl $crate::avro::Datum for $name {
            fn write(&self, to: &mut $crate::avro::Writer) {
                $($crate::avro::Datum::write(&self.$field, to);)*
            }
            fn read(from: &mut $crate::avro::Reader<'_>) -> Result<Self, $crate::avro::DecodeError> {
                $(let $field = $crate::read_field!(from $(, $since)?)?;)*
                Ok(Self { $($field),* })
            }
        }
    };
}

/// Reads a field of [`avro_record!`]; one that was added later only if the bytes have it.
#[doc(hidden)]
#[macro_export]
macro_rules! read_field {
    ($from:ident) => {
        $crate::avro::Datum::read($from)
    };
    ($from:ident, $since:literal) => {
        if $from.has($since) { $crate::avro::Datum::read($from) } else { Ok(Default::default()) }
    };
}

/// Declares an enum whose symbols are those of its `.avsc`, in order; `as_str` gives the symbol.
#[macro_export]
macro_rules! avro_enum {
    ($(#[$meta:meta])* $vis:vis enum $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $symbol:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis enum $name { $($(#[$variant_meta])* $variant),* }

        impl $name {
            /// Every symbol, in the schema's order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The symbol as the schema, JSON and people write it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $symbol),* }
            }

            /// The variant with this symbol.
            pub fn from_symbol(symbol: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|v| v.as_str() == symbol)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl $crate::avro::Datum for $name {
            fn write(&self, to: &mut $crate::avro::Writer) {
                to.long(*self as i64);
            }
            fn read(from: &mut $crate::avro::Reader<'_>) -> Result<Self, $crate::avro::DecodeError> {
                from.index(Self::ALL.len()).map(|i| Self::ALL[i])
            }
        }
    };
}
