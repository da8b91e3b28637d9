//! The body's outermost object, and `integration` in it.

use std::fmt;

use logystera_schemas::batch::Platform;
use logystera_schemas::catalogue::{SignalType, SignalTypes};
use logystera_schemas::limits::SIGNAL_FIELDS_MAX;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};

use super::any::{AnySeed, NameSeed};
use super::raw::{Raw, text};
use super::signal::SignalsSeed;
use super::walk::{Names, Walk, plausible};
use crate::core::refusal::{Refusal, SignalRefusal};

pub(super) struct HeadSeed<'w, 'de>(pub(super) &'w mut Walk<'de>);

impl<'de> DeserializeSeed<'de> for HeadSeed<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for HeadSeed<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let walk = self.0;
        let mut others = Names::new();
        let mut names = String::new();
        while let Some(name) = map.next_key_seed(NameSeed(&mut names))? {
            let place = match text(&names, &name).unwrap_or_default() {
                "through" => 0,
                "clock_offset_ms" => 1,
                "flush_every_s" => 2,
                "ends" => 3,
                "integration" => {
                    if std::mem::replace(&mut walk.head.integration_seen, true) {
                        return Err(walk.fail(Refusal::JsonDuplicateName));
                    }
                    walk.scratch.clear();
                    walk.items.clear();
                    map.next_value_seed(IntegrationSeed(&mut *walk))?;
                    continue;
                }
                "signals" => {
                    if std::mem::replace(&mut walk.head.signals_seen, true) {
                        return Err(walk.fail(Refusal::JsonDuplicateName));
                    }
                    walk.head.signals_before_offset = walk.head.clock_offset.is_none();
                    map.next_value_seed(SignalsSeed(&mut *walk))?;
                    continue;
                }
                _ => {
                    other(walk, &names, &mut others, name)?;
                    map.next_value_seed(AnySeed { walk: &mut *walk, depth: 2, keep_items: false })?;
                    continue;
                }
            };
            let value = map.next_value_seed(AnySeed { walk: &mut *walk, depth: 2, keep_items: false })?;
            if let (1, Raw::Int(offset)) = (place, &value) {
                walk.head.clock_offset_ms = *offset;
            }
            let head = &mut walk.head;
            let to = [&mut head.through, &mut head.clock_offset, &mut head.flush_every, &mut head.ends];
            let twice = to.into_iter().nth(place).is_some_and(|to| to.replace(value).is_some());
            if twice {
                return Err(walk.fail(Refusal::JsonDuplicateName));
            }
        }
        Ok(())
    }
}

/// Notes a name that the head does not have.
fn other<'de, E: serde::de::Error>(
    walk: &mut Walk<'de>,
    names: &str,
    others: &mut Names<'de, ()>,
    name: Raw<'de>,
) -> Result<(), E> {
    let new = text(names, &name).unwrap_or_default();
    if others.iter().any(|(known, ())| text(names, known) == Some(new)) {
        return Err(walk.fail(Refusal::JsonDuplicateName));
    }
    if others.len() >= SIGNAL_FIELDS_MAX {
        return Err(walk.fail(Refusal::JsonTooManyNames));
    }
    walk.refused.push(None, SignalRefusal::FieldNotAllowed, plausible(new));
    others.push((name, ()));
    Ok(())
}

struct IntegrationSeed<'w, 'de>(&'w mut Walk<'de>);

impl<'de> DeserializeSeed<'de> for IntegrationSeed<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.0.fault = Some((Refusal::HeadInvalid, Some("integration")));
        let walk = &mut *self.0;
        deserializer.deserialize_map(IntegrationVisitor(walk))
    }
}

struct IntegrationVisitor<'w, 'de>(&'w mut Walk<'de>);

impl<'de> Visitor<'de> for IntegrationVisitor<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let walk = self.0;
        walk.fault = None;
        let mut others = Names::new();
        let mut names = String::new();
        while let Some(name) = map.next_key_seed(NameSeed(&mut names))? {
            let field = text(&names, &name).unwrap_or_default();
            let known = matches!(field, "platform" | "version" | "enabled");
            if !known {
                other(walk, &names, &mut others, name.clone())?;
            }
            let value = map.next_value_seed(AnySeed { walk: &mut *walk, depth: 3, keep_items: known })?;
            let field = text(&names, &name).unwrap_or_default();
            let text = walk.text(&value).map(str::to_owned);
            let twice = match field {
                "platform" => {
                    let platform = text.and_then(|t| Platform::from_symbol(&t));
                    let Some(platform) = platform else { return Err(invalid(walk, "integration.platform")) };
                    walk.head.platform.replace(platform).is_some()
                }
                "version" => {
                    let Some(version) = text else { return Err(invalid(walk, "integration.version")) };
                    walk.head.version.replace(version).is_some()
                }
                "enabled" => {
                    let Some(enabled) = types(walk, &value) else { return Err(invalid(walk, "integration.enabled")) };
                    walk.head.enabled.replace(enabled).is_some()
                }
                _ => false,
            };
            if twice {
                return Err(walk.fail(Refusal::JsonDuplicateName));
            }
        }
        Ok(())
    }
}

fn invalid<E: serde::de::Error>(walk: &mut Walk<'_>, field: &'static str) -> E {
    walk.fault = Some((Refusal::HeadInvalid, Some(field)));
    E::custom("")
}

/// The types of a list of names. One that the catalogue does not have is passed over: a newer integration is no fault.
fn types(walk: &mut Walk<'_>, value: &Raw<'_>) -> Option<SignalTypes> {
    let Raw::List(range) = value else { return None };
    let mut types = SignalTypes::default();
    for raw in &walk.items[range.start as usize..range.end as usize] {
        match SignalType::from_sent_name(text(&walk.scratch, raw)?) {
            Some(signal) => types.insert(signal),
            None => walk.refused.push(None, SignalRefusal::TypeUnknown, Some("integration.enabled")),
        }
    }
    Some(types)
}
