//! The state machine of a group, from which `docs/transitions.md` is made. It knows nothing of windows or signals: it is
//! told when the condition becomes true or false and when a deadline is reached, and says what to emit.

use logystera_schemas::avro::{Datum, DecodeError, Reader, Writer};
use logystera_schemas::detection::{DetectionReason, DetectionState};
use logystera_schemas::limits::{ESCALATIONS_MAX, REMINDERS_MAX};
use logystera_schemas::time::SiteMs;

/// Where a group stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The condition is false and nothing is open.
    #[default]
    Inactive,
    /// The condition is true, and has to hold until `for_at`.
    Pending {
        /// When it has held long enough.
        for_at: SiteMs,
    },
    /// The condition is true and held for long enough.
    Firing,
    /// The condition was true and is false. If it is true again before `resolve_at`, the same episode goes on.
    Clearing {
        /// When the episode ends.
        resolve_at: SiteMs,
    },
}

/// The spans of a rule that the machine needs, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "the unit is the last part of a name")]
pub(crate) struct Spans {
    /// How long the condition must hold.
    pub(crate) for_ms: i64,
    /// How long after an emitted firing no other is emitted.
    pub(crate) suppress_ms: i64,
    /// How long the condition must be false.
    pub(crate) resolve_after_ms: i64,
    /// How long it must fire until it is worse, step by step.
    pub(crate) worse_after_ms: [Option<i64>; ESCALATIONS_MAX],
}

/// What happens to a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The condition became true, with so many matches.
    Met {
        /// Matches that the episode begins with.
        count: u64,
    },
    /// The condition became false.
    Unmet,
    /// `for_at` was reached.
    ForOver,
    /// `resolve_at` was reached.
    ResolveOver,
    /// `suppressed_until` was reached.
    SuppressionOver,
    /// A match that is told by itself happened at `at`: [`once`](super::once) says what becomes of it.
    Happened {
        /// Its time.
        at: SiteMs,
        /// How many signals it stands for.
        count: u64,
    },
    /// `worse_at` was reached: see [`Episode::rise`].
    WorseOver,
}

/// What a transition tells the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Emit {
    /// The state of the detection.
    pub(crate) state: DetectionState,
    /// Its reason; `Firing` stands for the rule's own reason of firing.
    pub(crate) reason: DetectionReason,
    /// Firings that were held back since the last one emitted.
    pub(crate) held: u64,
}

/// A group's episode and what is left of the ones before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Episode {
    /// Where it stands.
    pub(crate) phase: Phase,
    /// Whether a firing of this episode was emitted: only then its end is emitted too.
    pub(crate) announced: bool,
    /// Whether the suppression ended while the condition was false: if it is true again, that is emitted.
    pub(crate) owed: bool,
    /// End of the suppression that runs.
    pub(crate) suppressed_until: Option<SiteMs>,
    /// Firings that were held back since the last one emitted.
    pub(crate) held: u64,
    /// Matches of the episode.
    pub(crate) count: u64,
    /// When the condition became true.
    pub(crate) started_at: SiteMs,
    /// Reminders of the episode so far: firings that only time brought about.
    pub(crate) reminders: u32,
    /// How often it grew worse.
    pub(crate) level: u8,
    /// When it grows worse if it still fires.
    pub(crate) worse_at: Option<SiteMs>,
}

impl Episode {
    /// Whether the condition is true.
    pub(crate) fn holds(&self) -> bool {
        matches!(self.phase, Phase::Pending { .. } | Phase::Firing)
    }

    /// Whether nothing is open: no episode and no suppression.
    pub(crate) fn is_idle(&self) -> bool {
        self.phase == Phase::Inactive && self.suppressed_until.is_none()
    }

    /// Its row in the table of `docs/transitions.md`.
    pub(crate) fn row(&self) -> &'static str {
        match (self.phase, self.suppressed_until.is_some(), self.announced) {
            (Phase::Inactive, false, _) => "inactive",
            (Phase::Inactive, true, _) => "quiet",
            (Phase::Pending { .. }, false, _) => "pending",
            (Phase::Pending { .. }, true, _) => "pending quiet",
            (Phase::Firing, true, true) => "firing",
            (Phase::Firing, true, false) => "firing held",
            (Phase::Firing, false, _) => "firing free",
            (Phase::Clearing { .. }, true, true) => "clearing",
            (Phase::Clearing { .. }, true, false) => "clearing held",
            (Phase::Clearing { .. }, false, true) if self.owed => "clearing owed",
            (Phase::Clearing { .. }, false, false) if self.owed => "clearing owed held",
            (Phase::Clearing { .. }, false, _) => "clearing free",
        }
    }

    /// Applies an event at site time `now`.
    pub(crate) fn step(&mut self, event: Event, now: SiteMs, spans: &Spans) -> Option<Emit> {
        match (self.phase, event) {
            (Phase::Inactive, Event::Met { count }) => {
                (self.count, self.started_at, self.reminders) = (count, now, 0);
                (self.level, self.worse_at) = (0, None);
                if spans.for_ms > 0 {
                    self.phase = Phase::Pending { for_at: now.plus(spans.for_ms) };
                    return None;
                }
                Some(self.fire(now, spans))
            }
            (Phase::Pending { .. }, Event::ForOver) => Some(self.fire(now, spans)),
            (Phase::Pending { .. }, Event::Unmet) => {
                self.phase = Phase::Inactive;
                None
            }
            (Phase::Firing, Event::Unmet) => {
                self.phase = Phase::Clearing { resolve_at: now.plus(spans.resolve_after_ms) };
                None
            }
            (Phase::Clearing { .. }, Event::Met { .. }) => {
                self.phase = Phase::Firing;
                self.owed.then(|| self.announce(DetectionReason::SuppressionExpired, now, spans))
            }
            (Phase::Clearing { .. }, Event::ResolveOver) => {
                let was_announced = self.end();
                was_announced.then_some(Emit {
                    state: DetectionState::Resolved,
                    reason: DetectionReason::Resolved,
                    held: self.held,
                })
            }
            (phase, Event::SuppressionOver) => {
                self.suppressed_until = None;
                match phase {
                    Phase::Firing if self.reminders < REMINDERS_MAX => {
                        self.reminders += 1;
                        Some(self.announce(DetectionReason::SuppressionExpired, now, spans))
                    }
                    Phase::Clearing { .. } => {
                        self.owed = true;
                        None
                    }
                    // A firing episode has been told often enough: a site that comes back after a year must not bring a
                    // year of reminders.
                    Phase::Firing | Phase::Inactive | Phase::Pending { .. } => None,
                }
            }
            // The condition is what it was, or the deadline no longer stands: nothing changes.
            (_, Event::WorseOver | Event::Happened { .. })
            | (Phase::Inactive, Event::Unmet | Event::ForOver | Event::ResolveOver)
            | (Phase::Pending { .. }, Event::Met { .. } | Event::ResolveOver)
            | (Phase::Firing, Event::Met { .. } | Event::ForOver | Event::ResolveOver)
            | (Phase::Clearing { .. }, Event::Unmet | Event::ForOver) => None,
        }
    }

    /// Grows worse at `now` if it fires and the steps are reached: `level` of them by what it counts, or those whose time has
    /// come. `emit` is what it says at this moment besides: that is said as what it is now, or something is said of itself, even
    /// while a suppression runs.
    pub(crate) fn rise(&mut self, level: u8, emit: Option<Emit>, now: SiteMs, spans: &Spans) -> Option<Emit> {
        if self.phase != Phase::Firing {
            return emit;
        }
        let before = self.level;
        self.level = self.level.max(level);
        while let Some(due) = self.worse_at.filter(|due| *due <= now) {
            let after = |level: u8| spans.worse_after_ms.get(usize::from(level)).copied().flatten();
            // The rule may have fewer steps now.
            let Some(this) = after(self.level) else {
                self.worse_at = None;
                break;
            };
            self.worse_at = after(self.level + 1).map(|next| due.plus(next - this));
            self.level += 1;
        }
        match emit {
            _ if self.level == before => emit,
            Some(Emit { state: DetectionState::Firing, .. }) => emit,
            Some(Emit { state: DetectionState::Suppressed, .. }) => {
                // It is told after all.
                self.held -= 1;
                Some(self.announce(DetectionReason::Escalated, now, spans))
            }
            _ => Some(self.announce(DetectionReason::Escalated, now, spans)),
        }
    }

    /// Ends the episode and emits nothing. Gives whether it had been announced.
    pub(crate) fn end(&mut self) -> bool {
        self.phase = Phase::Inactive;
        self.owed = false;
        std::mem::take(&mut self.announced)
    }

    /// Its deadlines go back by `ms`. Its start stays, because the id of the episode is made of it.
    pub(crate) fn move_back(&mut self, ms: i64) {
        match &mut self.phase {
            Phase::Pending { for_at: at } | Phase::Clearing { resolve_at: at } => *at = at.plus(-ms),
            Phase::Inactive | Phase::Firing => {}
        }
        self.suppressed_until = self.suppressed_until.map(|until| until.plus(-ms));
        self.worse_at = self.worse_at.map(|at| at.plus(-ms));
    }

    fn fire(&mut self, now: SiteMs, spans: &Spans) -> Emit {
        self.phase = Phase::Firing;
        self.worse_at = spans.worse_after_ms[0].map(|ms| now.plus(ms));
        if self.suppressed_until.is_some() {
            self.held += 1;
            return Emit { state: DetectionState::Suppressed, reason: DetectionReason::Firing, held: self.held };
        }
        self.announce(DetectionReason::Firing, now, spans)
    }

    fn announce(&mut self, reason: DetectionReason, now: SiteMs, spans: &Spans) -> Emit {
        self.announced = true;
        self.owed = false;
        self.suppressed_until = (spans.suppress_ms > 0).then(|| now.plus(spans.suppress_ms));
        Emit { state: DetectionState::Firing, reason, held: std::mem::take(&mut self.held) }
    }
}

impl Datum for Phase {
    fn write(&self, to: &mut Writer) {
        match self {
            Self::Inactive => to.long(0),
            Self::Pending { for_at } => {
                to.long(1);
                for_at.write(to);
            }
            Self::Firing => to.long(2),
            Self::Clearing { resolve_at } => {
                to.long(3);
                resolve_at.write(to);
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match from.index(4)? {
            0 => Self::Inactive,
            1 => Self::Pending { for_at: SiteMs::read(from)? },
            2 => Self::Firing,
            _ => Self::Clearing { resolve_at: SiteMs::read(from)? },
        })
    }
}

impl Datum for Episode {
    fn write(&self, to: &mut Writer) {
        self.phase.write(to);
        let worse = i64::from(self.level) << 2 | i64::from(self.worse_at.is_some()) << 4;
        to.long(i64::from(self.announced) | i64::from(self.owed) << 1 | worse);
        self.suppressed_until.write(to);
        self.held.write(to);
        self.count.write(to);
        self.started_at.write(to);
        self.reminders.write(to);
        if let Some(at) = &self.worse_at {
            at.write(to);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let phase = Phase::read(from)?;
        // Of those that were stored before alerts could grow worse only the lowest two bits are set.
        let flags = from.index(32)?;
        Ok(Self {
            phase,
            announced: flags & 1 != 0,
            owed: flags & 2 != 0,
            suppressed_until: Datum::read(from)?,
            held: Datum::read(from)?,
            count: Datum::read(from)?,
            started_at: Datum::read(from)?,
            reminders: Datum::read(from)?,
            level: (flags >> 2 & 3) as u8,
            worse_at: if flags & 16 != 0 { Some(Datum::read(from)?) } else { None },
        })
    }
}
