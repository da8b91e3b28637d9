//! The planner's state entries. The planner's task is their only writer, in the commit of the records that changed them;
//! they are read at a takeover only. Values are Avro (binary encoding, no header); the first field is the layout's number.
//!
//! A key is the tenant's key group (2 bytes, big-endian; 65,535 for the clocks), and what follows. The first versions wrote it
//! without the key group: such entries are read, and written anew under their key with the next commit.
//!
//! | key goes on with | value | how long it lives | absence means |
//! | --- | --- | --- | --- |
//! | `a` | [`ClockEntry`]: the partitions' clocks, the tenant served last | from the first tick on; one | no tick came yet |
//! | `b` tenant | [`ChannelsEntry`]: its channels, their pauses and breakers | as long as the tenant has a channel; one a tenant | the tenant has no channel |
//! | `c` tenant NUL site NUL seq (8 bytes, big-endian) | [`DetectionEntry`]: what a delivery rests on; carries signal values, and in `detection.encryption_key` the id of the key they are encrypted under | until the last of its deliveries ends; at most a delivery's number of them | no delivery of it waits or is in the air |
//! | `d` tenant NUL delivery (16 bytes) | [`DeliveryEntry`] | until the delivery ends; at most `DELIVERIES_MAX` a tenant | it ended, or was never planned: topic `attempts` tells which |
//!
//! Restored in the order of the keys, a delivery finds its detection there: a tenant's entries lie together.

use std::collections::BTreeSet;
use std::sync::Arc;

use logystera_schemas::avro::{Datum, DecodeError, Reader, Writer};
use logystera_schemas::avro_record;
use logystera_schemas::detection::Detection;
use logystera_schemas::ids::{ChannelId, DeliveryId, KEY_GROUPS, KeyGroup, SiteId, TenantId};

use super::channel::Channel;
use super::clock::{LogClock, PartitionClock, Timer};
use super::planner::Planner;
use super::tenant::{Delivery, Held, Stage};

/// Number of the layout below. Another one is refused.
const LAYOUT: u32 = 1;

/// Why a stored entry cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// The key is none of ours.
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

/// Stands for the partition itself, after all key groups.
const NO_KEY_GROUP: u16 = u16::MAX;

/// Names a state entry. Ordered as its bytes are behind the key group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Clock,
    Channels(TenantId),
    Detection(TenantId, SiteId, u64),
    Delivery(TenantId, DeliveryId),
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
    }
}

/// The entries that changed since the last commit, by key group.
#[derive(Clone, Debug, Default)]
pub(super) struct Dirty {
    keys: BTreeSet<(u16, Key)>,
    /// Keys without a key group that were restored: written anew, they go.
    old: Vec<Vec<u8>>,
}

impl Dirty {
    pub(super) fn mark(&mut self, key: Key) {
        self.keys.insert((key.key_group(), key));
    }
}

impl Key {
    fn key_group(&self) -> u16 {
        match self {
            Self::Clock => NO_KEY_GROUP,
            Self::Channels(tenant) | Self::Detection(tenant, ..) | Self::Delivery(tenant, _) => {
                KeyGroup::of(tenant.as_str()).0
            }
        }
    }

    fn encode(&self, key_group: u16) -> Vec<u8> {
        let mut bytes = key_group.to_be_bytes().to_vec();
        match self {
            Self::Clock => bytes.push(b'a'),
            Self::Channels(tenant) => {
                bytes.push(b'b');
                bytes.extend_from_slice(tenant.as_str().as_bytes());
            }
            Self::Detection(tenant, site, seq) => {
                bytes.push(b'c');
                bytes.extend_from_slice(tenant.as_str().as_bytes());
                bytes.push(0);
                bytes.extend_from_slice(site.as_str().as_bytes());
                bytes.push(0);
                bytes.extend_from_slice(&seq.to_be_bytes());
            }
            Self::Delivery(tenant, delivery) => {
                bytes.push(b'd');
                bytes.extend_from_slice(tenant.as_str().as_bytes());
                bytes.push(0);
                bytes.extend_from_slice(&delivery.0);
            }
        }
        bytes
    }

    /// The key, and whether its key group stands before it. A tag is above every key group's first byte.
    fn decode(bytes: &[u8]) -> Option<(Self, bool)> {
        match bytes.split_first_chunk() {
            Some((key_group, rest)) if is_key_group(u16::from_be_bytes(*key_group)) => {
                let key = Self::decode_rest(rest)?;
                (key.key_group() == u16::from_be_bytes(*key_group)).then_some((key, true))
            }
            _ => Some((Self::decode_rest(bytes)?, false)),
        }
    }

    fn decode_rest(bytes: &[u8]) -> Option<Self> {
        let (tag, rest) = bytes.split_first()?;
        let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
        let cut = |bytes: &[u8]| {
            let end = bytes.iter().position(|b| *b == 0)?;
            Some((text(&bytes[..end])?, bytes[end + 1..].to_vec()))
        };
        match tag {
            b'a' if rest.is_empty() => Some(Self::Clock),
            b'b' => Some(Self::Channels(text(rest)?.parse().ok()?)),
            b'c' => {
                let (tenant, rest) = cut(rest)?;
                let (site, seq) = cut(&rest)?;
                let seq = u64::from_be_bytes(seq.try_into().ok()?);
                Some(Self::Detection(tenant.parse().ok()?, site.parse().ok()?, seq))
            }
            b'd' => {
                let (tenant, delivery) = cut(rest)?;
                Some(Self::Delivery(tenant.parse().ok()?, DeliveryId(delivery.try_into().ok()?)))
            }
            _ => None,
        }
    }
}

fn is_key_group(number: u16) -> bool {
    number < KEY_GROUPS || number == NO_KEY_GROUP
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
    let mut from = Reader::new(value);
    let entry = D::read(&mut from)?;
    from.end()?;
    Ok(entry)
}

impl Planner {
    /// Takes one stored entry. Called for each of them, in the order of the keys, before the first record.
    pub fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), StateError> {
        let (name, is_current) = Key::decode(key).ok_or(StateError::Key)?;
        if !is_current {
            self.dirty.mark(name.clone());
            self.dirty.old.push(key.to_vec());
        }
        match name {
            Key::Clock => {
                let entry: ClockEntry = entry_of(value)?;
                let partitions = entry.partitions.into_iter().map(|p| (p.partition, p)).collect();
                self.clock = LogClock { partitions, ticks: entry.ticks };
                self.last_served = entry.last_served;
            }
            Key::Channels(tenant) => {
                let entry: ChannelsEntry = entry_of(value)?;
                let channels = entry.channels.into_iter().map(|c| (c.channel.clone(), c.into())).collect();
                self.tenants.entry(tenant).or_default().channels = channels;
            }
            Key::Detection(tenant, site, seq) => {
                let entry: DetectionEntry = entry_of(value)?;
                let held = Held { detection: Arc::new(entry.detection), deliveries: 0 };
                self.tenants.entry(tenant).or_default().detections.insert((site, seq), held);
            }
            Key::Delivery(id, delivery_id) => {
                let delivery = Delivery::from(entry_of::<DeliveryEntry>(value)?);
                let tenant = self.tenants.get_mut(&id).ok_or(StateError::Orphan)?;
                let at = (delivery.site.clone(), delivery.seq);
                tenant.detections.get_mut(&at).ok_or(StateError::Orphan)?.deliveries += 1;
                self.in_flight += usize::from(delivery.stage == Stage::InFlight);
                tenant.insert(delivery_id, delivery);
                self.busy.insert(id);
            }
        }
        Ok(())
    }

    /// The entries that changed since the last call, each key once, in the order of the keys; none for one that is gone.
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
                let channels = &self.tenants.get(tenant)?.channels;
                let entries = channels.iter().map(|(id, channel)| entry_of_channel(id, channel)).collect();
                (!channels.is_empty()).then(|| bytes_of(&ChannelsEntry { layout: LAYOUT, channels: entries }))
            }
            Key::Detection(tenant, site, seq) => {
                let held = self.tenants.get(tenant)?.detections.get(&(site.clone(), *seq))?;
                let detection = held.detection.as_ref().clone();
                Some(bytes_of(&DetectionEntry { layout: LAYOUT, detection }))
            }
            Key::Delivery(tenant, id) => {
                let delivery = self.tenants.get(tenant)?.deliveries.get(id)?.clone();
                Some(bytes_of(&DeliveryEntry::from(delivery)))
            }
        }
    }
}

fn entry_of_channel(id: &ChannelId, channel: &Channel) -> ChannelEntry {
    let Channel { kind, disabled, pause, failures, opens, open } = channel.clone();
    ChannelEntry { channel: id.clone(), kind, disabled, pause, failures, opens, open }
}

impl From<ChannelEntry> for Channel {
    fn from(entry: ChannelEntry) -> Self {
        let ChannelEntry { channel: _, kind, disabled, pause, failures, opens, open } = entry;
        Self { kind, disabled, pause, failures, opens, open }
    }
}

impl From<Delivery> for DeliveryEntry {
    fn from(delivery: Delivery) -> Self {
        let Delivery { channel, site, seq, disabled, attempts, refusals, stage } = delivery;
        let waiting = match stage {
            Stage::Waiting(timer) => Some(timer),
            Stage::InFlight => None,
        };
        Self { layout: LAYOUT, channel, site, seq, disabled, attempts, refusals, waiting }
    }
}

impl From<DeliveryEntry> for Delivery {
    fn from(entry: DeliveryEntry) -> Self {
        let DeliveryEntry { layout: _, channel, site, seq, disabled, attempts, refusals, waiting } = entry;
        let stage = waiting.map_or(Stage::InFlight, Stage::Waiting);
        Self { channel, site, seq, disabled, attempts, refusals, stage }
    }
}
