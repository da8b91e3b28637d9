//! What the visitors share while they walk a body.

use logystera_schemas::batch::Platform;
use logystera_schemas::catalogue::SignalTypes;
use smallvec::SmallVec;

use super::encoded::Encoded;
use super::outcome::{RefusedSignals, Terms};
use super::raw::{Raw, text};
use crate::core::refusal::Refusal;

/// What stands beside the signals, as far as it was seen.
#[derive(Default)]
pub(super) struct BodyHead<'de> {
    pub(super) through: Option<Raw<'de>>,
    pub(super) clock_offset: Option<Raw<'de>>,
    pub(super) flush_every: Option<Raw<'de>>,
    pub(super) ends: Option<Raw<'de>>,
    pub(super) integration_seen: bool,
    pub(super) platform: Option<Platform>,
    pub(super) version: Option<String>,
    pub(super) enabled: Option<SignalTypes>,
    pub(super) signals_seen: bool,
    /// Whether the signals came before `clock_offset_ms`: they were read with an assumed one.
    pub(super) signals_before_offset: bool,
    /// What is known or assumed of the offset while the signals are read.
    pub(super) clock_offset_ms: i64,
}

/// What the visitors share while they walk a body.
pub(super) struct Walk<'de> {
    /// Why the walk breaks off, set beforehand: serde's own error cannot carry it.
    pub(super) fault: Option<(Refusal, Option<&'static str>)>,
    pub(super) terms: Terms,
    pub(super) head: BodyHead<'de>,
    /// Unescaped text of the object that is being read; [`Raw::Scratch`] points into it.
    pub(super) scratch: String,
    /// Items of lists of the object that is being read; [`Raw::List`] points into it.
    pub(super) items: Vec<Raw<'de>>,
    pub(super) signals: Encoded,
    pub(super) refused: RefusedSignals,
}

impl<'de> Walk<'de> {
    /// Breaks the walk off.
    pub(super) fn fail<E: serde::de::Error>(&mut self, refusal: Refusal) -> E {
        self.fault.get_or_insert((refusal, None));
        E::custom("")
    }

    pub(super) fn text<'a>(&'a self, raw: &'a Raw<'de>) -> Option<&'a str> {
        text(&self.scratch, raw)
    }
}

/// Names of one object that are not known, or not yet, kept to find repetitions.
pub(super) type Names<'de, T> = SmallVec<[(Raw<'de>, T); 8]>;

/// The name of a field that the catalogue does not have, if it may be repeated in an answer: a name can carry content
/// too.
pub(super) fn plausible(name: &str) -> Option<&str> {
    let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    (plain && (1..=64).contains(&name.len())).then_some(name)
}
