//! A JSON value of any shape: kept if it is small and flat, else read and dropped. A repeated name and too deep a
//! nesting are refused.

use std::collections::BTreeSet;
use std::fmt;

use logystera_schemas::limits::{JSON_DEPTH_MAX, LIST_ITEMS_MAX, OBJECT_NAMES_MAX};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::raw::{Raw, scratch};
use super::walk::Walk;
use crate::core::refusal::Refusal;

/// Reads a value. If it is a list or an object, it is level `depth` of the nesting; the body is level 1.
pub(super) struct AnySeed<'w, 'de> {
    pub(super) walk: &'w mut Walk<'de>,
    pub(super) depth: usize,
    /// Whether a list's items are kept: only if the list is a field's value itself, not if it is nested deeper.
    pub(super) keep_items: bool,
}

impl<'de> DeserializeSeed<'de> for AnySeed<'_, 'de> {
    type Value = Raw<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AnySeed<'_, 'de> {
    type Value = Raw<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Raw<'de>, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Raw<'de>, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Raw<'de>, E> {
        Ok(Raw::Int(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Raw<'de>, E> {
        Ok(i64::try_from(value).map_or(Raw::Other, Raw::Int))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Raw<'de>, E> {
        Ok(Raw::Other)
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Raw<'de>, E> {
        Ok(Raw::Text(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Raw<'de>, E> {
        Ok(scratch(&mut self.walk.scratch, value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw<'de>, A::Error> {
        let Self { walk, depth, keep_items } = self;
        if depth > JSON_DEPTH_MAX {
            return Err(walk.fail(Refusal::JsonTooDeep));
        }
        let start = walk.items.len();
        let mut kept = keep_items;
        loop {
            let mark = walk.scratch.len();
            let item = AnySeed { walk: &mut *walk, depth: depth + 1, keep_items: false };
            let Some(item) = seq.next_element_seed(item)? else { break };
            kept &= !matches!(item, Raw::Other) && walk.items.len() - start < LIST_ITEMS_MAX;
            if kept {
                walk.items.push(item);
            } else {
                walk.scratch.truncate(mark);
            }
        }
        Ok(if kept { Raw::List(start as u32..walk.items.len() as u32) } else { Raw::Other })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw<'de>, A::Error> {
        let Self { walk, depth, .. } = self;
        if depth > JSON_DEPTH_MAX {
            return Err(walk.fail(Refusal::JsonTooDeep));
        }
        let mut names = BTreeSet::new();
        while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            if names.len() >= OBJECT_NAMES_MAX {
                return Err(walk.fail(Refusal::JsonTooManyNames));
            }
            if !names.insert(name) {
                return Err(walk.fail(Refusal::JsonDuplicateName));
            }
            let mark = walk.scratch.len();
            map.next_value_seed(AnySeed { walk: &mut *walk, depth: depth + 1, keep_items: false })?;
            walk.scratch.truncate(mark);
        }
        Ok(Raw::Other)
    }
}

/// Reads the name of a member.
pub(super) struct NameSeed<'w>(pub(super) &'w mut String);

impl<'de> DeserializeSeed<'de> for NameSeed<'_> {
    type Value = Raw<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw<'de>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for NameSeed<'_> {
    type Value = Raw<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Raw<'de>, E> {
        Ok(Raw::Text(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Raw<'de>, E> {
        Ok(scratch(self.0, value))
    }
}
