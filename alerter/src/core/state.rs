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
//! | `d` tenant NUL delivery (16 bytes) | [`DeliveryEntry`] | until the delivery ends; at most `DELIVERIES_MAX` a tenant | it ended, or was never planned: topic `attempts` tells which |
//! | `e` tenant | [`ChainEntry`]: number and chain value of its newest row | from its first row on, for good: its channels, deliveries and rows come and go; one a tenant that ever had a row, of at most 120 bytes | it never had a row, or only rows of versions that linked none |
//!
//! Restored in the order of the keys, a delivery finds its detection there: a tenant's entries lie together.

use std::collections::BTreeMap;
use std::sync::Arc;

use logystera_schemas::avro::{Datum, DecodeError, Reader, Writer};
use logystera_schemas::avro_record;
use logystera_schemas::detection::Detection;
use logystera_schemas::ids::{ChannelId, Sha256Digest, SiteId, TenantId};
use logystera_schemas::time::WallMs;

use super::channel::{Channel, Pace};
use super::clock::{LogClock, PartitionClock, Timer};
use super::delivery::{Delivery, DetectionRef, Merged, Stage, lane_of};
use super::key::{Dirty, Key};
use super::planner::Planner;
use super::row::Head;
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
    /// A tenant's channels.
    #[derive(Debug)]
    pub(super) struct ChannelsEntry {
        layout: u32,
        channels: Vec<ChannelEntry>,
        more: Vec<ChannelMore> where since 2,
        turns: Vec<ChannelTurn> where since 3,
    }
}

avro_record! {
    /// One channel.
    #[derive(Debug)]
    pub(super) struct ChannelEntry {
        channel: ChannelId,
        kind: String,
        disabled: bool,
        pause: Option<Timer>,
        failures: u32,
        opens: u32,
        open: Option<Timer>,
    }
}

avro_record! {
    /// What else is known of a channel that is in trouble. Other channels have none.
    #[derive(Debug)]
    pub(super) struct ChannelMore {
        channel: ChannelId,
        off_since: Option<WallMs>,
        gone_since: Option<WallMs>,
        throttles: u32,
        pace: Option<Pace>,
        trouble: Option<String>,
    }
}

avro_record! {
    /// The site whose attempt was started last in a channel.
    #[derive(Debug)]
    pub(super) struct ChannelTurn {
        channel: ChannelId,
        site: SiteId,
    }
}

avro_record! {
    /// A detection that deliveries rest on.
    #[derive(Debug)]
    pub(super) struct DetectionEntry {
        layout: u32,
        detection: Detection,
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
        alone: bool where since 3,
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
                let mut entry: ChannelsEntry = entry_of(value)?;
                let turns =
                    std::mem::take(&mut entry.turns).into_iter().map(|turn| (turn.channel, turn.site)).collect();
                let channels = channels_of(entry);
                self.channels_off += channels.values().filter(|c| c.off_since.is_some()).count();
                let tenant = self.tenants.entry(tenant).or_default();
                (tenant.channels, tenant.turns) = (channels, turns);
            }
            Key::Detection(tenant, _) => {
                let entry: DetectionEntry = entry_of(value)?;
                let own = DetectionRef::of(&entry.detection);
                name = Key::Detection(tenant.clone(), own.clone());
                let held = HeldDetection { detection: Arc::new(entry.detection), deliveries: 0 };
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
            Key::Chain(tenant) => {
                let ChainEntry { layout: _, number, chain } = entry_of(value)?;
                self.chains.insert(tenant, Head { number, chain });
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
        // A delivery or a clock takes under 200 bytes; a detection about a kilobyte.
        self.dirty.keys.iter().map(|(_, key)| if matches!(key, Key::Detection(..)) { 1_200 } else { 200 }).sum()
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
                let detection = held.detection.as_ref().clone();
                Some(bytes_of(&DetectionEntry { layout: LAYOUT, detection }))
            }
            Key::Delivery(tenant, id) => {
                let delivery = self.tenants.get(tenant)?.deliveries.get(id)?.clone();
                Some(bytes_of(&DeliveryEntry::from(delivery)))
            }
            Key::Chain(tenant) => {
                let Head { number, chain } = *self.chains.get(tenant)?;
                Some(bytes_of(&ChainEntry { layout: LAYOUT, number, chain }))
            }
        }
    }
}

fn entry_of_channels(channels: &BTreeMap<ChannelId, Channel>, turns: &BTreeMap<ChannelId, SiteId>) -> ChannelsEntry {
    let (mut entries, mut more) = (Vec::new(), Vec::new());
    for (id, channel) in channels {
        let Channel { kind, off_since, gone_since, pause, throttles, pace, failures, opens, open, trouble } =
            channel.clone();
        let disabled = off_since.is_some();
        if disabled || gone_since.is_some() || throttles > 0 || pace.is_some() || trouble.is_some() {
            more.push(ChannelMore { channel: id.clone(), off_since, gone_since, throttles, pace, trouble });
        }
        entries.push(ChannelEntry { channel: id.clone(), kind, disabled, pause, failures, opens, open });
    }
    let turns = turns.iter().map(|(channel, site)| ChannelTurn { channel: channel.clone(), site: site.clone() });
    ChannelsEntry { layout: LAYOUT, channels: entries, more, turns: turns.collect() }
}

fn channels_of(entry: ChannelsEntry) -> BTreeMap<ChannelId, Channel> {
    let mut channels = BTreeMap::new();
    for ChannelEntry { channel, kind, disabled, pause, failures, opens, open } in entry.channels {
        // The first versions stored that it is off, and not since when.
        let off_since = disabled.then_some(WallMs(0));
        channels.insert(channel, Channel { kind, off_since, pause, failures, opens, open, ..Channel::default() });
    }
    for ChannelMore { channel, off_since, gone_since, throttles, pace, trouble } in entry.more {
        if let Some(known) = channels.get_mut(&channel) {
            *known = Channel { off_since, gone_since, throttles, pace, trouble, ..std::mem::take(known) };
        }
    }
    channels
}

impl From<Delivery> for DeliveryEntry {
    fn from(delivery: Delivery) -> Self {
        let waiting = delivery.waits_for();
        let DetectionRef { site, seq, chain } = delivery.detection;
        let Delivery {
            channel,
            disabled,
            attempts,
            off_schedule,
            refusals,
            throttled_since,
            order,
            due,
            merged,
            alone,
            ..
        } = delivery;
        let (layout, chain) = (LAYOUT, Some(chain));
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
            alone,
        }
    }
}

impl DeliveryEntry {
    /// The delivery, counted among those of its detection. None: the tenant does not hold that detection.
    fn delivery_of(self, tenant: &mut Tenant) -> Option<Delivery> {
        let Self { channel, site, seq, disabled, attempts, refusals, waiting, chain, order, due, .. } = self;
        // The first versions named the detection by its number alone.
        let chain = match chain {
            Some(chain) => chain,
            None => tenant.detections.keys().find(|d| d.site == site && d.seq == seq)?.chain,
        };
        let detection = DetectionRef { site, seq, chain };
        let held = tenant.detections.get_mut(&detection)?;
        held.deliveries += 1;
        let lane = if self.alone { None } else { lane_of(&held.detection, disabled.as_ref()) };
        let stage = waiting.map_or(Stage::InFlight, Stage::Waiting);
        let (off_schedule, throttled_since, merged) = (self.off_schedule, self.throttled_since, self.merged);
        Some(Delivery {
            channel,
            detection,
            disabled,
            attempts,
            off_schedule,
            refusals,
            throttled_since,
            order,
            due,
            merged,
            alone: self.alone,
            stage,
            lane,
        })
    }
}
