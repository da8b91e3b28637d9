//! The planner's state entries. The planner's task is their only writer, in the commit of the records that changed them;
//! they are read at a takeover only. Values are Avro (binary encoding, no header); the first field is the layout's number.
//!
//! A key is the tenant's key group (2 bytes, big-endian; 65,535 for the clocks), and what follows. The first versions wrote it
//! without the key group, and a detection's without its chain value: such entries are read, and written anew under their key
//! with the next commit. Fields that were added since stand at a value's end; a value that lacks them is read.
//!
//! | key goes on with | value | how long it lives | absence means |
//! | --- | --- | --- | --- |
//! | `a` | [`ClockEntry`]: the partitions' clocks, the tenant served last | from the first tick on; one | no tick came yet |
//! | `b` tenant | [`ChannelsEntry`]: its channels, their pauses, paces and breakers, since when they are off, and the site served last in each | as long as the tenant has a channel; one a tenant | the tenant has no channel |
//! | `c` tenant NUL site NUL seq (8 bytes, big-endian) chain (32 bytes) | [`DetectionEntry`]: what a delivery rests on; carries signal values, and in `detection.encryption_key` the id of the key they are encrypted under | until the last of its deliveries ends; at most a delivery's number of them | no delivery of it waits or is in the air |
//! | `d` tenant NUL delivery (16 bytes) | [`DeliveryEntry`] | until the delivery ends; at most `DELIVERIES_MAX` a tenant, and `DELIVERIES_KEPT` a channel | it ended, or was never planned: topic `attempts` tells which |
//! | `e` tenant NUL episode (16 bytes) | [`EpisodeEntry`]: the channels that were told of it, those that its newest line is held back from, and while it is, the line, with signal values as in `c`; and the digests that tell of its beginning | from its first firing until its end is told, and until those digests have ended; at most `EPISODES_MAX` a tenant, of which `HELD_BACK_MAX` with a line | it is over, never fired, or was forgotten for want of room: every channel may know of it |
//! | `f` tenant NUL silence | [`SilenceEntry`] | until the next silence of the tenant after its end; at most `SILENCES_MAX` a tenant | it is over |
//! | `g` tenant | [`ChainEntry`]: number and chain value of its newest row | from its first row on, for good: its channels, deliveries and rows come and go; one a tenant that ever had a row, of at most 120 bytes | it never had a row, or only rows of versions that linked none |
//! | `h` tenant NUL site | [`LabelsEntry`] | as long as the site has labels; one a site of at most `SITE_LABELS_MAX` | it has none |
//!
//! Restored in the order of the keys, a delivery finds its detection there: a tenant's entries lie together.

use std::sync::Arc;

use logystera_schemas::alert::{Digest, Failed, Frozen, Merged};
use logystera_schemas::avro::{Datum, DecodeError, Reader, Writer};
use logystera_schemas::avro_record;
use logystera_schemas::ids::{ChannelId, DeliveryId, Sha256Digest, SiteId, TenantId};
use logystera_schemas::time::WallMs;

use super::channel_entries::{ChannelsEntry, channels_of, entry_of_channels};
use super::clock::{LogClock, PartitionClock, Timer};
use super::delivery::{Delivery, DetectionRef, Line, Stage, own_lane};
use super::entries::{EpisodeEntry, SilenceEntry, Unmarked};
use super::key::{Dirty, Key};
use super::labels::LabelsEntry;
use super::planner::Planner;
use super::row::Head;
use super::stages::gather::gathers;
use super::stages::limit::digest_key;
use super::tenant::{HeldDetection, Tenant};

/// Number of the layout below. Another one is refused.
const LAYOUT: u32 = 1;

/// Why a stored entry cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// The planner has no such key.
    #[error("a state entry's key is none of the planner's")]
    Key,
    /// The value is not what the key says.
    #[error("a state entry cannot be read: {0}")]
    Value(#[from] DecodeError),
    /// The value was written by another version.
    #[error("a state entry has layout {0}; this binary knows 1")]
    Layout(u32),
    /// A delivery without its detection.
    #[error("the detection of a stored delivery is missing")]
    Orphan,
}

avro_record! {
    /// The clocks of all partitions.
    #[derive(Debug)]
    pub(super) struct ClockEntry {
        layout: u32,
        ticks: u64,
        partitions: Vec<PartitionClock>,
        last_served: Option<TenantId>,
    }
}

avro_record! {
    /// A detection that deliveries rest on.
    #[derive(Debug)]
    pub(super) struct DetectionEntry {
        layout: u32,
        detection: Unmarked,
        reached: bool where since 4,
        failed: Vec<ChannelId> where since 4,
        once: bool where since 6,
    }
}

avro_record! {
    /// A delivery that has not ended. `waiting` is null while an attempt is in the air.
    #[derive(Debug)]
    pub(super) struct DeliveryEntry {
        layout: u32,
        channel: ChannelId,
        site: SiteId,
        seq: u64,
        disabled: Option<ChannelId>,
        attempts: u32,
        refusals: u32,
        waiting: Option<Timer>,
        chain: Option<Sha256Digest> where since 2,
        order: u64 where since 2,
        due: WallMs where since 2,
        off_schedule: u32 where since 2,
        throttled_since: Option<WallMs> where since 2,
        merged: Merged where since 2,
        others: Vec<LineEntry> where since 3,
        digest: Option<Digest> where since 3,
        alone: bool where since 3,
        fallback: Option<Vec<Failed>> where since 4,
        released: bool where since 5,
        frozen: Option<Frozen> where since 5,
        ordered: bool where since 6,
    }
}

avro_record! {
    /// A detection that a bundle tells besides its first.
    #[derive(Debug)]
    pub(super) struct LineEntry {
        site: SiteId,
        seq: u64,
        chain: Sha256Digest,
        order: u64,
        merged: Merged,
    }
}

avro_record! {
    /// The newest link of a tenant's chain.
    #[derive(Debug)]
    pub(super) struct ChainEntry {
        layout: u32,
        number: u64,
        chain: Sha256Digest,
    }
}

fn bytes_of<D: Datum>(datum: &D) -> Vec<u8> {
    let mut to = Writer::new();
    datum.write(&mut to);
    to.into_bytes()
}

fn entry_of<D: Datum>(value: &[u8]) -> Result<D, StateError> {
    let layout = u32::read(&mut Reader::new(value))?;
    if layout != LAYOUT {
        return Err(StateError::Layout(layout));
    }
    let mut from = Reader::stored(value);
    let entry = D::read(&mut from)?;
    from.end()?;
    Ok(entry)
}

impl Planner {
    /// Takes one stored entry. To be called for each of them, in the order of the keys, before the first record.
    pub fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), StateError> {
        let mut name = Key::decode(key).ok_or(StateError::Key)?;
        match name.clone() {
            Key::Clock => {
                let entry: ClockEntry = entry_of(value)?;
                let partitions = entry.partitions.into_iter().map(|p| (p.partition, p)).collect();
                self.clock = LogClock { partitions, ticks: entry.ticks };
                self.last_served = entry.last_served;
            }
            Key::Channels(tenant) => {
                let (channels, turns) = channels_of(entry_of::<ChannelsEntry>(value)?);
                self.channels_off += channels.values().filter(|c| c.off_since.is_some()).count();
                let tenant = self.tenants.entry(tenant).or_default();
                (tenant.channels, tenant.turns) = (channels, turns);
            }
            Key::Detection(tenant, _) => {
                let entry: DetectionEntry = entry_of(value)?;
                let DetectionEntry { detection, reached, failed, once, .. } = entry;
                let (detection, failed) = (Arc::new(detection.marked(once)), failed.into_iter().collect());
                let own = DetectionRef::of(&detection);
                name = Key::Detection(tenant.clone(), own.clone());
                let held = HeldDetection { detection, deliveries: 0, reached, failed };
                self.tenants.entry(tenant).or_default().detections.insert(own, held);
            }
            Key::Delivery(id, delivery_id) => {
                let entry: DeliveryEntry = entry_of(value)?;
                let tenant = self.tenants.get_mut(&id).ok_or(StateError::Orphan)?;
                let delivery = entry.delivery_of(tenant).ok_or(StateError::Orphan)?;
                self.in_flight += usize::from(delivery.stage == Stage::InFlight);
                tenant.insert(delivery_id, delivery);
                self.busy.insert(id);
            }
            Key::Episode(id, episode_id) => {
                let entry: EpisodeEntry = entry_of(value)?;
                self.tenants.entry(id.clone()).or_default().episodes.put(episode_id, entry.into());
                self.wake(&id);
            }
            Key::Silence(id, silence_id) => {
                let entry: SilenceEntry = entry_of(value)?;
                self.tenants.entry(id).or_default().silences.insert(silence_id, entry.silence);
            }
            Key::Chain(tenant) => {
                let ChainEntry { layout: _, number, chain } = entry_of(value)?;
                self.chains.insert(tenant, Head { number, chain });
            }
            Key::Labels(id, site) => {
                let entry: LabelsEntry = entry_of(value)?;
                self.tenants.entry(id).or_default().labels.insert(site, entry.labels);
            }
        }
        if name.encode(name.key_group()) != key {
            self.dirty.mark(name);
            self.dirty.old.push(key.to_vec());
        }
        Ok(())
    }

    /// The entries that changed since the last call, each key once, in the order of the keys. None: the entry is gone.
    pub fn take_puts(&mut self) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let Dirty { keys, old } = std::mem::take(&mut self.dirty);
        let mut puts: Vec<_> = keys.into_iter().map(|(group, key)| (key.encode(group), self.value(&key))).collect();
        if !old.is_empty() {
            puts.extend(old.into_iter().map(|key| (key, None)));
            puts.sort_unstable();
        }
        puts
    }

    /// About how many bytes [`Self::take_puts`] would give now.
    pub fn dirty_bytes(&self) -> usize {
        // A delivery or a clock takes under 200 bytes, a bundle about 100 more for each of its lines, and what it says of a
        // site about 200; a detection about a kilobyte, and an episode has one if anything is held back.
        let more = |tenant: &TenantId, id: &DeliveryId| {
            let delivery = self.tenants.get(tenant).and_then(|t| t.deliveries.get(id));
            let sites = |frozen: &Arc<Frozen>| frozen.sites.len();
            delivery.map_or(0, |d| 100 * d.others.len() + 200 * d.frozen.as_ref().map_or(0, sites))
        };
        let bytes = |key: &Key| match key {
            Key::Detection(..) => 1_200,
            Key::Episode(..) if !self.waking.is_empty() => 1_200,
            Key::Delivery(tenant, id) => 200 + more(tenant, id),
            _ => 200,
        };
        self.dirty.keys.iter().map(|(_, key)| bytes(key)).sum()
    }

    fn value(&self, key: &Key) -> Option<Vec<u8>> {
        match key {
            Key::Clock => Some(bytes_of(&ClockEntry {
                layout: LAYOUT,
                ticks: self.clock.ticks,
                partitions: self.clock.partitions.values().copied().collect(),
                last_served: self.last_served.clone(),
            })),
            Key::Channels(tenant) => {
                let Tenant { channels, turns, .. } = self.tenants.get(tenant)?;
                (!channels.is_empty()).then(|| bytes_of(&entry_of_channels(channels, turns)))
            }
            Key::Detection(tenant, own) => {
                let held = self.tenants.get(tenant)?.detections.get(own)?;
                let (detection, once) = (Unmarked(held.detection.as_ref().clone()), held.detection.once);
                let (reached, failed) = (held.reached, held.failed.iter().cloned().collect());
                Some(bytes_of(&DetectionEntry { layout: LAYOUT, detection, reached, failed, once }))
            }
            Key::Delivery(tenant, id) => {
                let delivery = self.tenants.get(tenant)?.deliveries.get(id)?.clone();
                Some(bytes_of(&DeliveryEntry::from(delivery)))
            }
            Key::Episode(tenant, id) => {
                let episode = self.tenants.get(tenant)?.episodes.get(*id)?.clone();
                Some(bytes_of(&EpisodeEntry::from(episode)))
            }
            Key::Silence(tenant, id) => {
                let silence = self.tenants.get(tenant)?.silences.get(id)?.clone();
                Some(bytes_of(&SilenceEntry::from(silence)))
            }
            Key::Chain(tenant) => {
                let Head { number, chain } = *self.chains.get(tenant)?;
                Some(bytes_of(&ChainEntry { layout: LAYOUT, number, chain }))
            }
            Key::Labels(tenant, site) => {
                self.tenants.get(tenant)?.labels.get(site).map(|labels| bytes_of(&LabelsEntry::of(labels)))
            }
        }
    }
}

impl From<Delivery> for DeliveryEntry {
    fn from(delivery: Delivery) -> Self {
        let waiting = delivery.waits_for();
        let (off_schedule, throttled_since) = (delivery.off_schedule, delivery.throttled_since);
        let (alone, ordered, released) = (delivery.alone, delivery.ordered, delivery.released);
        let Delivery { channel, lead, others, digest, disabled, attempts, refusals, due, fallback, frozen, .. } =
            delivery;
        let Line { detection: DetectionRef { site, seq, chain }, order, merged, .. } = lead;
        let (layout, chain, others) = (LAYOUT, Some(chain), others.into_values().map(LineEntry::from).collect());
        Self {
            layout,
            channel,
            site,
            seq,
            disabled,
            attempts,
            refusals,
            waiting,
            chain,
            order,
            due,
            off_schedule,
            throttled_since,
            merged,
            others,
            digest,
            alone,
            fallback,
            released,
            frozen: frozen.map(Arc::unwrap_or_clone),
            ordered,
        }
    }
}

impl From<Line> for LineEntry {
    fn from(line: Line) -> Self {
        let Line { detection: DetectionRef { site, seq, chain }, order, merged, .. } = line;
        Self { site, seq, chain, order, merged }
    }
}

impl DeliveryEntry {
    /// The delivery, counted among those of its detections. None: the tenant does not hold one of them.
    fn delivery_of(self, tenant: &mut Tenant) -> Option<Delivery> {
        let Self { channel, site, seq, disabled, attempts, refusals, waiting, chain, order, due, .. } = self;
        // The first versions named the detection by its number alone.
        let chain = match chain {
            Some(chain) => chain,
            None => tenant.detections.keys().find(|d| d.site == site && d.seq == seq)?.chain,
        };
        let first = LineEntry { site, seq, chain, order, merged: self.merged };
        let digest = self.digest;
        let has_lanes = disabled.is_none() && digest.is_none() && (!self.alone || self.ordered);
        let lead = first.line_of(tenant, has_lanes)?;
        let other = |other: LineEntry| Some((other.order, other.line_of(tenant, has_lanes)?));
        let others = self.others.into_iter().map(other).collect::<Option<_>>()?;
        let gathers = match &digest {
            // One for the fallback channel takes no others.
            Some(_) => Some(digest_key()).filter(|_| !self.alone),
            None => gathers(&tenant.detections.get(&lead.detection)?.detection).filter(|_| has_lanes && !self.alone),
        };
        let stage = waiting.map_or(Stage::InFlight, Stage::Waiting);
        let (off_schedule, throttled_since) = (self.off_schedule, self.throttled_since);
        Some(Delivery {
            channel,
            lead,
            others,
            gathers,
            digest,
            disabled,
            attempts,
            off_schedule,
            refusals,
            throttled_since,
            due,
            alone: self.alone,
            ordered: self.ordered,
            released: self.released,
            fallback: self.fallback,
            frozen: self.frozen.map(Arc::new),
            stage,
        })
    }
}

impl LineEntry {
    fn line_of(self, tenant: &mut Tenant, has_lane: bool) -> Option<Line> {
        let Self { site, seq, chain, order, merged } = self;
        let detection = DetectionRef { site, seq, chain };
        let held = tenant.detections.get_mut(&detection)?;
        held.deliveries += 1;
        let lane = own_lane(&held.detection).filter(|_| has_lane);
        Some(Line { detection, order, merged, lane })
    }
}
