//! What is known of a channel: whether it is switched off, paused, paced, or its breaker open.

use logystera_schemas::avro_record;
use logystera_schemas::control::ChannelKind;
use logystera_schemas::detection::Detection;
use logystera_schemas::labels::{SiteLabel, match_all};
use logystera_schemas::limits::{
    ATTEMPTS_IN_FLIGHT_CHANNEL_MAX, BREAKER_FAILURES, BREAKER_OPEN_MS, BREAKER_OPEN_MS_MAX, CHANNEL_GONE_MS,
    PACE_GAP_MS_MIN, PACE_GAP_MS_START_MAX, PACE_MS, PACE_SLACK_MS, SLACK_GAP_MS, THROTTLE_PAUSE_MS_MAX,
    THROTTLES_BELIEVED, TICK_MS,
};
use logystera_schemas::noise::ChannelSettings;
use logystera_schemas::time::WallMs;

use super::clock::Timer;
use super::rate::{Window, per_minute};
use super::report::Counters;
use super::retry::Verdict;

/// A channel of a tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Channel {
    /// What it speaks.
    pub(super) kind: String,
    /// What it takes.
    pub(super) settings: ChannelSettings,
    /// Whether it is told of nothing but what all others failed to take.
    pub(super) fallback: bool,
    /// Of which sites it is told: those with these labels. Empty: of all.
    pub(super) labels: Vec<SiteLabel>,
    /// When it answered 410 for the second time, which switched it off. It stays off until somebody switches it on, or
    /// removes it.
    pub(super) off_since: Option<WallMs>,
    /// When it answered 410 for the first time, if it took no delivery since. It gets one attempt at a time, and the
    /// next 410 switches it off.
    pub(super) gone_since: Option<WallMs>,
    /// How long it gets nothing: it asked for that, or answered 410.
    pub(super) pause: Option<Timer>,
    /// Throttlings in a row.
    pub(super) throttles: u32,
    /// How fast it may be called. None: as fast as its limits allow.
    pub(super) pace: Option<Pace>,
    /// The minute in which its attempts are counted, if they are.
    pub(super) window: Option<Window>,
    /// Failures in a row.
    pub(super) failures: u32,
    /// How often the breaker opened in a row. An answer that shows that the channel works sets it to 0.
    pub(super) opens: u32,
    /// The breaker is open until this is over; then half open: one attempt at a time.
    pub(super) open: Option<Timer>,
    /// Code of the newest outcome, unless that was a delivery: for people.
    pub(super) trouble: Option<String>,
}

avro_record! {
    /// How fast a channel may be called that asked for less: one attempt at a time, so far apart. The gap begins with
    /// what the channel asked for, at most `PACE_GAP_MS_START_MAX`; each success makes it shorter, each throttling
    /// longer.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct Pace {
        /// From the start of an attempt to that of the next one, in milliseconds.
        pub(super) gap_ms: i64,
        /// Whether it was throttled at its pace: from then on the gap changes in small steps.
        pub(super) settled: bool,
        /// When the next attempt may start.
        pub(super) next: Timer,
        /// When it was throttled last.
        pub(super) throttled_at: WallMs,
    }
}

/// What an outcome changed that others must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nothing.
    Nothing,
    /// The channel answered 410 for the first time.
    Gone,
    /// It answered 410 again: it is off.
    SwitchedOff,
}

impl Pace {
    fn new(gap_ms: i64, wall: WallMs) -> Self {
        let gap_ms = gap_ms.min(PACE_GAP_MS_START_MAX);
        Self { gap_ms, settled: false, next: Timer::after(wall, gap_ms), throttled_at: wall }
    }

    /// The pace of a channel whose kind asks for it.
    fn of_kind(gap_ms: i64, wall: WallMs) -> Self {
        Self { gap_ms, settled: true, next: Timer { at: wall, delay_ms: 0 }, throttled_at: wall }
    }

    fn is_open(&self, wall: WallMs) -> bool {
        self.is_forgotten(wall) || self.next.is_over(wall.plus(PACE_SLACK_MS))
    }

    pub(super) fn is_forgotten(&self, wall: WallMs) -> bool {
        wall.since(self.throttled_at) >= PACE_MS
    }

    /// An attempt starts. Time moves in ticks: an attempt that may start between two of them starts at the later one.
    fn started(&mut self, wall: WallMs) {
        let tick = TICK_MS as i64;
        let was_idle = wall.since(self.next.at) > tick;
        let from = if was_idle { wall.plus((self.gap_ms - tick).min(0)) } else { self.next.at };
        self.next = Timer { at: from.plus(self.gap_ms), delay_ms: self.gap_ms };
    }

    fn succeeded(&mut self, wall: WallMs) {
        if self.settled {
            self.gap_ms -= (self.gap_ms / 128).max(1);
        } else {
            self.gap_ms /= 2;
            self.next.at = self.next.at.min(wall.plus(self.gap_ms));
        }
    }

    fn throttled(&mut self, asked_ms: i64, wall: WallMs) {
        let further = if self.settled { self.gap_ms + self.gap_ms / 8 + 1 } else { self.gap_ms * 2 };
        self.gap_ms = further.min(asked_ms.max(THROTTLE_PAUSE_MS_MAX));
        self.settled = true;
        self.throttled_at = wall;
    }
}

impl Channel {
    /// Whether a detection, whose site has `labels`, is one that it takes.
    pub(super) fn takes(&self, detection: &Detection, labels: &[SiteLabel]) -> bool {
        self.settings.takes(detection) && match_all(&self.labels, labels)
    }

    /// How many messages it takes a minute. None: as many as come.
    pub(super) fn per_minute(&self) -> Option<u32> {
        self.settings.per_minute.or_else(|| per_minute(&self.kind))
    }

    /// How many more messages it takes in this minute. None: as many as come.
    pub(super) fn room(&self, wall: WallMs) -> Option<usize> {
        let window = self.window.filter(|window| window.end(wall).is_some());
        let per_minute = self.per_minute()?;
        Some(per_minute.saturating_sub(window.map_or(0, |window| window.attempts)) as usize)
    }

    /// How many attempts it may have in the air now.
    pub(super) fn places(&self, wall: WallMs) -> usize {
        if self.off_since.is_some() || self.is_paused(wall) || self.pace.is_some_and(|p| !p.is_open(wall)) {
            return 0;
        }
        match self.open {
            Some(open) if !open.is_over(wall) => 0,
            Some(_) => 1,
            None if self.gone_since.is_some() || self.pace.is_some() || self.gap_ms_min() > 0 => 1,
            None => ATTEMPTS_IN_FLIGHT_CHANNEL_MAX,
        }
    }

    /// The first time at which an attempt due at `due` can be made, as far as is known now.
    pub(super) fn not_before(&self, due: WallMs) -> WallMs {
        let pace = self.pace.map(|p| p.next);
        let due = [self.pause, self.open, pace].into_iter().flatten().fold(due, |at, gate| at.max(gate.at));
        let end = self.window.filter(|_| self.room(due) == Some(0)).and_then(|window| window.end(due));
        end.unwrap_or(due)
    }

    /// An attempt starts.
    pub(super) fn started(&mut self, wall: WallMs) {
        self.pace = self.pace.filter(|p| !p.is_forgotten(wall));
        let gap_ms = self.gap_ms_min();
        if gap_ms > 0 {
            self.pace.get_or_insert(Pace::of_kind(gap_ms, wall));
        }
        if let Some(pace) = &mut self.pace {
            pace.started(wall);
        }
        if self.per_minute().is_some() {
            self.window = Some(Window::started(self.window, wall));
        }
    }

    /// How far apart its kind takes attempts at least, in milliseconds. 0: as they come.
    fn gap_ms_min(&self) -> i64 {
        if self.kind == ChannelKind::Slack.as_str() { SLACK_GAP_MS } else { 0 }
    }

    /// Whether it is called more slowly than its kind asks for anyway, because it was throttled.
    pub(super) fn is_slowed(&self, wall: WallMs) -> bool {
        self.pace.is_some_and(|p| !p.is_forgotten(wall) && p.gap_ms > self.gap_ms_min())
    }

    /// An attempt ended.
    pub(super) fn heard(&mut self, verdict: Verdict, wall: WallMs, counters: &mut Counters) -> Heard {
        match verdict {
            Verdict::Delivered => {
                // A pause for a 410 is over with it; one that it asked for is not.
                let paused = if self.gone_since.take().is_some() { None } else { self.pause };
                self.pause = paused;
                self.lives(wall);
            }
            Verdict::Refusal => self.lives(wall),
            Verdict::Throttle { ms } => self.throttled(ms, wall, counters),
            Verdict::Gone => return self.gone(wall, counters),
            Verdict::Failure => self.failed(wall, counters),
            // The outcome says nothing of the channel: no request may have reached it.
            Verdict::Forbidden | Verdict::Unknown => {}
        }
        Heard::Nothing
    }

    /// It answered, and works: its failures and throttlings are over, and its gap gets shorter.
    fn lives(&mut self, wall: WallMs) {
        self.failures = 0;
        self.opens = 0;
        self.open = None;
        self.throttles = 0;
        self.pause = self.pause.filter(|p| !p.is_over(wall));
        let gap_ms_min = self.gap_ms_min();
        if let Some(pace) = &mut self.pace {
            pace.succeeded(wall);
            pace.gap_ms = pace.gap_ms.max(gap_ms_min);
        }
        self.pace = self.pace.filter(|p| p.gap_ms >= PACE_GAP_MS_MIN);
    }

    fn throttled(&mut self, ms: i64, wall: WallMs, counters: &mut Counters) {
        counters.channel_pauses += 1;
        // What was in the air when it began to throttle says nothing new.
        if !self.is_paused(wall) {
            self.throttles = self.throttles.saturating_add(1);
            let gap_ms_min = self.gap_ms_min();
            match &mut self.pace {
                Some(pace) if pace.gap_ms > gap_ms_min => pace.throttled(ms, wall),
                _ => self.pace = Some(Pace::new(ms.max(gap_ms_min), wall)),
            }
        }
        // A channel that throttles again and again gets longer and longer pauses, whatever it asks for.
        let doublings = self.throttles.saturating_sub(THROTTLES_BELIEVED).min(16);
        self.pause_for((ms << doublings).min(THROTTLE_PAUSE_MS_MAX.max(ms)), wall);
    }

    fn gone(&mut self, wall: WallMs, counters: &mut Counters) -> Heard {
        match self.gone_since {
            None => {
                self.gone_since = Some(wall);
                self.pause_for(CHANNEL_GONE_MS, wall);
                counters.channels_gone += 1;
                Heard::Gone
            }
            // It was in the air when the first one came, or the channel is off.
            Some(_) if self.is_paused(wall) || self.off_since.is_some() => Heard::Nothing,
            Some(_) => {
                self.off_since = Some(wall);
                counters.channels_disabled += 1;
                Heard::SwitchedOff
            }
        }
    }

    fn failed(&mut self, wall: WallMs, counters: &mut Counters) {
        self.failures = self.failures.saturating_add(1);
        let opens = match self.open {
            None => self.failures >= BREAKER_FAILURES,
            // An attempt that was in the air when the breaker opened says nothing new.
            Some(open) => open.is_over(wall),
        };
        if opens {
            // Sixteen doublings are far beyond the longest time, and far from an overflow.
            let doubled = BREAKER_OPEN_MS << self.opens.min(16);
            self.open = Some(Timer::after(wall, doubled.min(BREAKER_OPEN_MS_MAX)));
            self.opens = self.opens.saturating_add(1);
            counters.breaker_opens += 1;
        }
    }

    fn is_paused(&self, wall: WallMs) -> bool {
        self.pause.is_some_and(|p| !p.is_over(wall.plus(PACE_SLACK_MS)))
    }

    fn pause_for(&mut self, ms: i64, wall: WallMs) {
        let pause = Timer::after(wall, ms);
        if self.pause.is_none_or(|p| p.at < pause.at) {
            self.pause = Some(pause);
        }
    }

    /// Wall time was set back. Gives whether that changed the channel.
    pub(super) fn set_back(&mut self, wall: WallMs) -> bool {
        let before = self.clone();
        self.pause = self.pause.map(|t| t.set_back(wall));
        self.open = self.open.map(|t| t.set_back(wall));
        self.gone_since = self.gone_since.map(|t| t.min(wall));
        self.window = self.window.map(|window| Window { since: window.since.min(wall), ..window });
        self.pace = self.pace.map(|pace| Pace {
            next: pace.next.set_back(wall),
            throttled_at: pace.throttled_at.min(wall),
            ..pace
        });
        before != *self
    }
}
