//! The state entry of a tenant's channels. `state.rs` has the table of all entries.

use std::collections::BTreeMap;

use logystera_schemas::avro_record;
use logystera_schemas::ids::{ChannelId, SiteId};
use logystera_schemas::labels::SiteLabel;
use logystera_schemas::noise::ChannelSettings;
use logystera_schemas::time::WallMs;

use super::channel::{Channel, Pace};
use super::clock::Timer;
use super::rate::Window;

/// Number of its layout, as of all entries.
const LAYOUT: u32 = 1;

avro_record! {
    /// A tenant's channels.
    #[derive(Debug)]
    pub(super) struct ChannelsEntry {
        layout: u32,
        channels: Vec<ChannelEntry>,
        more: Vec<ChannelMore> where since 2,
        settings: Vec<SettingsEntry> where since 3,
        windows: Vec<ChannelWindow> where since 3,
        turns: Vec<ChannelTurn> where since 3,
        fallbacks: Vec<ChannelId> where since 4,
        labels: Vec<LabelsAsked> where since 5,
    }
}

avro_record! {
    /// The labels of the sites that a channel is told of. One that is told of all has none.
    #[derive(Debug)]
    pub(super) struct LabelsAsked {
        channel: ChannelId,
        labels: Vec<SiteLabel>,
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
    /// The minute in which a channel's attempts are counted.
    #[derive(Debug)]
    pub(super) struct ChannelWindow {
        channel: ChannelId,
        window: Window,
    }
}

avro_record! {
    /// What a channel takes. One that takes everything at once has none.
    #[derive(Debug)]
    pub(super) struct SettingsEntry {
        channel: ChannelId,
        settings: ChannelSettings,
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

/// The site whose attempt was started last, by channel.
type Turns = BTreeMap<ChannelId, SiteId>;

/// What is stored of a tenant's channels.
pub(super) fn entry_of_channels(channels: &BTreeMap<ChannelId, Channel>, turns: &Turns) -> ChannelsEntry {
    let (mut entries, mut more, mut settings, mut windows) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (id, channel) in channels {
        let channel = channel.clone();
        if !channel.settings.is_default() {
            settings.push(SettingsEntry { channel: id.clone(), settings: channel.settings });
        }
        windows.extend(channel.window.map(|window| ChannelWindow { channel: id.clone(), window }));
        let Channel { kind, off_since, gone_since, pause, throttles, pace, failures, opens, open, trouble, .. } =
            channel;
        let disabled = off_since.is_some();
        if disabled || gone_since.is_some() || throttles > 0 || pace.is_some() || trouble.is_some() {
            more.push(ChannelMore { channel: id.clone(), off_since, gone_since, throttles, pace, trouble });
        }
        entries.push(ChannelEntry { channel: id.clone(), kind, disabled, pause, failures, opens, open });
    }
    let fallbacks = channels.iter().filter(|(_, channel)| channel.fallback).map(|(id, _)| id.clone()).collect();
    let asks = channels.iter().filter(|(_, channel)| !channel.labels.is_empty());
    let labels =
        asks.map(|(id, channel)| LabelsAsked { channel: id.clone(), labels: channel.labels.clone() }).collect();
    let turns = turns.iter().map(|(channel, site)| ChannelTurn { channel: channel.clone(), site: site.clone() });
    let turns = turns.collect();
    ChannelsEntry { layout: LAYOUT, channels: entries, more, settings, windows, turns, fallbacks, labels }
}

/// The channels as they were stored.
pub(super) fn channels_of(entry: ChannelsEntry) -> (BTreeMap<ChannelId, Channel>, Turns) {
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
    for SettingsEntry { channel, settings } in entry.settings {
        if let Some(known) = channels.get_mut(&channel) {
            known.settings = settings;
        }
    }
    for ChannelWindow { channel, window } in entry.windows {
        if let Some(known) = channels.get_mut(&channel) {
            known.window = Some(window);
        }
    }
    for channel in entry.fallbacks {
        if let Some(known) = channels.get_mut(&channel) {
            known.fallback = true;
        }
    }
    for LabelsAsked { channel, labels } in entry.labels {
        if let Some(known) = channels.get_mut(&channel) {
            known.labels = labels;
        }
    }
    let turns = entry.turns.into_iter().map(|turn| (turn.channel, turn.site)).collect();
    (channels, turns)
}
