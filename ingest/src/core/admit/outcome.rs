//! What a body is judged by, and what becomes of it.

use logystera_schemas::batch::Platform;
use logystera_schemas::catalogue::SignalTypes;
use logystera_schemas::limits::{AHEAD_MS_MAX, REFUSED_LISTED_MAX};

use crate::core::refusal::{Refusal, SignalRefusal};

/// The clock and the age limit by which a body's times are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The gateway's clock, milliseconds since the epoch.
    pub received_at: i64,
    /// A signal is too old if its site time lies more than so many milliseconds before `received_at`.
    pub signal_age_ms_max: i64,
}

/// Times of signals by their sender's clock.
pub(super) struct Span {
    /// What lies before is too old.
    pub(super) oldest_at: i64,
    /// What lies after is ahead of the gateway's clock.
    pub(super) ahead_at: i64,
}

impl Terms {
    /// The times that signals may have, by a clock that is this far behind the gateway's.
    pub(super) fn span(&self, clock_offset_ms: i64) -> Span {
        let by_sender = |at: i64| at.saturating_sub(clock_offset_ms);
        Span {
            oldest_at: by_sender(self.received_at.saturating_sub(self.signal_age_ms_max)),
            ahead_at: by_sender(self.received_at.saturating_add(AHEAD_MS_MAX)),
        }
    }
}

/// A body that was taken, at least in part.
#[derive(Debug, PartialEq, Eq)]
pub struct Admitted {
    /// The spool's watermark by the sender's clock.
    pub through: i64,
    /// Server minus sender, in milliseconds.
    pub clock_offset_ms: i64,
    /// How often the sender promises a batch, in seconds.
    pub flush_every_s: u32,
    /// What the integration runs on.
    pub platform: Platform,
    /// Its version; empty if it was not said.
    pub integration_version: String,
    /// Signal types that are switched on at the site.
    pub enabled: SignalTypes,
    /// Time that the encoded signals' `at` is counted from.
    pub base_at: i64,
    /// Whether the sender says that this is its spool's last batch.
    pub ends: bool,
    /// How many signals were taken.
    pub accepted: usize,
    /// The signals, each as [`logystera_schemas::batch::write_signal`] has it.
    pub signals: Vec<u8>,
    /// What was left out.
    pub refused: RefusedSignals,
}

/// What was left out of a batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct RefusedSignals {
    /// The first of them, in the order of the body.
    pub listed: Vec<RefusedItem>,
    /// How many more there are than are listed.
    pub more: usize,
    /// Signals left out, by reason in the order of [`SignalRefusal::ALL`].
    pub signals: [u32; SignalRefusal::ALL.len()],
}

impl RefusedSignals {
    /// How many signals were left out.
    pub fn total(&self) -> u32 {
        self.signals.iter().sum()
    }

    pub(super) fn push(&mut self, index: Option<usize>, code: SignalRefusal, field: Option<&str>) {
        if index.is_some() {
            self.signals[code as usize] += 1;
        }
        if self.listed.len() >= REFUSED_LISTED_MAX {
            self.more += 1;
            return;
        }
        self.listed.push(RefusedItem { index, code, field: field.map(str::to_owned) });
    }
}

/// One thing that was left out.
#[derive(Debug, PartialEq, Eq)]
pub struct RefusedItem {
    /// Place of the signal in the body, from 0; none for a name in the head.
    pub index: Option<usize>,
    /// Why.
    pub code: SignalRefusal,
    /// Field that it is about. A name that is not the catalogue's stands here only if it is 1 to 64 lowercase letters
    /// and `_`.
    pub field: Option<String>,
}

/// Why a body is refused whole, and where. It holds no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyFault {
    /// Why.
    pub refusal: Refusal,
    /// Field of the head that it is about.
    pub field: Option<&'static str>,
    /// Line of the body, from 1.
    pub line: Option<usize>,
    /// Byte in the line, from 1.
    pub column: Option<usize>,
}

impl BodyFault {
    /// A fault whose place is not known.
    pub fn of(refusal: Refusal) -> Self {
        Self { refusal, field: None, line: None, column: None }
    }
}
