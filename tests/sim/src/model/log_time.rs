//! Log time (design, section 5, "Log time"): the two clocks that the ticks tell.

/// Most that open time advances by one tick that tells nothing of it.
const STEP_MAX: i64 = 2_000;
/// Most that any tick can tell.
const TOLD_MAX: i64 = 30_000;
/// A tick more than this after the one before is a gap.
const GAP: i64 = 60_000;
/// Ticks in a row below the highest that set wall time back.
const ROW: usize = 60;

/// Every tick ever, and what follows from them.
#[derive(Debug, Default)]
pub struct LogTime {
    /// The highest tick, or the one that set it back; none before the first.
    highest: Option<i64>,
    /// Ticks since the last one that was not below the highest.
    below: Vec<i64>,
    /// How long the door was open.
    pub open: i64,
    /// Open time at the end of the newest gap.
    pub gap_end: Option<i64>,
}

impl LogTime {
    /// Takes a tick, and how long the door was open by what it tells.
    pub fn tick(&mut self, at: i64, told: i64) {
        let previous = *self.highest.get_or_insert(at);
        if at < previous {
            self.below.push(at);
            if self.below.len() == ROW {
                self.highest = self.below.last().copied();
                self.below.clear();
            }
            return;
        }
        self.below.clear();
        self.highest = Some(at);
        self.open += told.clamp(STEP_MAX, TOLD_MAX).min(at - previous);
        if at - previous > GAP {
            self.gap_end = Some(self.open);
        }
    }

    /// Whether no tick has come yet.
    pub fn is_untold(&self) -> bool {
        self.highest.is_none()
    }

    /// Wall time: 0 before the first tick.
    pub fn wall(&self) -> i64 {
        self.highest.unwrap_or(0)
    }
}
