//! The state entries of what is held back: open episodes, silences. `state.rs` has their table.

use std::sync::Arc;

use logystera_schemas::avro::{Datum, DecodeError, Reader, Writer};
use logystera_schemas::avro_record;
use logystera_schemas::detection::Detection;
use logystera_schemas::ids::{ChannelId, DeliveryId};
use logystera_schemas::noise::Silence;

use super::counted::{AlertRef, Counted};
use super::episodes::{Episode, Hold};

/// Number of their layout, as of all entries.
const LAYOUT: u32 = 1;
/// The version of its schema with which a detection gained `once`.
const ONCE_SINCE: u8 = 4;

/// A detection as the first entries had it, which had more behind it: its `once`, which came later, stands at the entry's end.
#[derive(Clone, Debug)]
pub(super) struct Unmarked(pub(super) Detection);

impl Unmarked {
    /// The detection with its mark.
    pub(super) fn marked(self, once: bool) -> Detection {
        Detection { once, ..self.0 }
    }
}

impl Datum for Unmarked {
    fn write(&self, to: &mut Writer) {
        self.0.write(to);
        // The mark is the last byte.
        to.truncate(to.as_bytes().len() - 1);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.within(ONCE_SINCE, Detection::read).map(Self)
    }
}

avro_record! {
    /// An open episode.
    #[derive(Debug)]
    pub(super) struct EpisodeEntry {
        pub(super) layout: u32,
        pub(super) order: u64,
        pub(super) told: Vec<ChannelId>,
        pub(super) held: Vec<HeldEntry>,
        pub(super) line: Option<Unmarked>,
        /// Version 5 wrote them here, without their alerts.
        pub(super) counted_before: Vec<CountedBeforeEntry> where since 5,
        pub(super) counted: Vec<CountedEntry> where since 6,
        pub(super) over: bool where since 6,
        /// Whether nothing follows the line.
        pub(super) once: bool where since 6,
    }
}

avro_record! {
    /// A channel that an episode's line is held back from.
    #[derive(Debug)]
    pub(super) struct HeldEntry {
        pub(super) channel: ChannelId,
        pub(super) hold: Hold,
    }
}

avro_record! {
    /// A channel that is told of an episode by the count of a digest.
    #[derive(Debug)]
    pub(super) struct CountedBeforeEntry {
        pub(super) channel: ChannelId,
        pub(super) digest: DeliveryId,
    }
}

avro_record! {
    /// A channel that a digest tells of an episode's beginning.
    #[derive(Debug)]
    pub(super) struct CountedEntry {
        pub(super) channel: ChannelId,
        pub(super) digest: DeliveryId,
        pub(super) named: bool,
        pub(super) alert: Option<AlertRef>,
    }
}

avro_record! {
    /// A silence.
    #[derive(Debug)]
    pub(super) struct SilenceEntry {
        pub(super) layout: u32,
        pub(super) silence: Silence,
    }
}

impl From<Episode> for EpisodeEntry {
    fn from(episode: Episode) -> Self {
        let Episode { order, told, line, held, counted, over } = episode;
        let held = held.into_iter().map(|(channel, hold)| HeldEntry { channel, hold }).collect();
        let counted = counted.into_iter().map(|(channel, Counted { digest, named, alert })| CountedEntry {
            channel,
            digest,
            named,
            alert,
        });
        let once = line.as_ref().is_some_and(|line| line.once);
        let line = line.map(|line| Unmarked(Arc::unwrap_or_clone(line)));
        let (told, counted, counted_before) = (told.into_iter().collect(), counted.collect(), Vec::new());
        Self { layout: LAYOUT, order, told, held, line, counted_before, counted, over, once }
    }
}

impl From<EpisodeEntry> for Episode {
    fn from(entry: EpisodeEntry) -> Self {
        let held = entry.held.into_iter().map(|held| (held.channel, held.hold)).collect();
        let before = entry.counted_before.into_iter().map(|CountedBeforeEntry { channel, digest }| {
            let (named, alert) = (false, None);
            (channel, Counted { digest, named, alert })
        });
        let counted = entry
            .counted
            .into_iter()
            .map(|CountedEntry { channel, digest, named, alert }| (channel, Counted { digest, named, alert }));
        let counted = before.chain(counted).collect();
        let (told, once) = (entry.told.into_iter().collect(), entry.once);
        let line = entry.line.map(|line| Arc::new(line.marked(once)));
        Self { order: entry.order, told, line, held, counted, over: entry.over }
    }
}

impl From<Silence> for SilenceEntry {
    fn from(silence: Silence) -> Self {
        Self { layout: LAYOUT, silence }
    }
}
