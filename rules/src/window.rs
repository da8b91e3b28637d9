//! The window of a threshold, and the panes that it is cut into.

use logystera_processor::core::Filter;
use logystera_schemas::catalogue::SignalType;
use logystera_schemas::limits::{
    EXACT_THRESHOLD_MAX, PANE_MS_DEFAULT_MIN, PANES_DEFAULT, PANES_MAX, RESOLUTION_MS_DEFAULT, RULE_SPAN_MS_MIN,
};

use crate::code::Code;
use crate::duration::short;
use crate::report::{Place, Report};

/// What the measures are about.
pub(crate) struct Watched<'r> {
    /// None: it was refused, and only what does not depend on it is checked.
    pub(crate) signal: Option<SignalType>,
    /// `where`. None: it was refused.
    pub(crate) filter: Option<&'r Filter>,
    /// Indexes of the fields of `group_by`.
    pub(crate) group_by: &'r [usize],
}

/// The window of a threshold as it is read.
pub(crate) struct Window {
    /// Its length in milliseconds. None: it was refused.
    pub(crate) within_ms: Option<i64>,
    /// `resolution`.
    pub(crate) resolution: Resolution,
}

/// The length of a pane, in milliseconds.
#[derive(Clone, Copy)]
pub(crate) enum Resolution {
    /// The rule names none: each measure has its own.
    Default,
    /// This one.
    Asked(i64),
    /// It was refused.
    Refused,
}

/// How matches are counted.
pub(crate) enum Counted {
    /// To the millisecond.
    Exactly,
    /// In panes of so many milliseconds.
    InPanes(i64),
}

impl Window {
    /// How a count, which stands at `place`, is counted.
    pub(crate) fn counted(&self, threshold: u32, place: Place, report: &mut Report<'_>) -> Option<Counted> {
        match (self.resolution, counted_default(threshold)) {
            (Resolution::Refused, _) => None,
            (Resolution::Asked(ms), _) => Some(Counted::InPanes(ms)),
            (Resolution::Default, None) => Some(Counted::Exactly),
            (Resolution::Default, Some(ms)) => {
                check_panes(place, self.within_ms?, ms, true, report)?;
                Some(Counted::InPanes(ms))
            }
        }
    }

    /// The length of a pane of what is always counted in panes.
    pub(crate) fn pane_ms(&self) -> Option<i64> {
        match self.resolution {
            Resolution::Default => self.within_ms.map(pane_default),
            Resolution::Asked(ms) => Some(ms),
            Resolution::Refused => None,
        }
    }
}

/// The length of the panes in which a count is counted if the rule names none. None: it is exact.
pub(crate) fn counted_default(threshold: u32) -> Option<i64> {
    (threshold > EXACT_THRESHOLD_MAX).then_some(RESOLUTION_MS_DEFAULT)
}

/// The length of a pane of what is always counted in panes, if the rule names none: a thirtieth of the window or, where that is
/// no whole number or too short, the next longer one that divides it.
pub(crate) fn pane_default(within_ms: i64) -> i64 {
    let mut lengths = (1..=PANES_DEFAULT).rev().filter(|panes| within_ms % panes == 0).map(|panes| within_ms / panes);
    lengths.find(|ms| *ms >= PANE_MS_DEFAULT_MIN).unwrap_or(within_ms)
}

/// Checks the length of panes that was asked for, or is the default.
pub(crate) fn check_panes(
    place: Place,
    within_ms: i64,
    pane_ms: i64,
    is_default: bool,
    report: &mut Report<'_>,
) -> Option<()> {
    let fits = |ms: i64| within_ms % ms == 0 && within_ms / ms <= i64::from(PANES_MAX);
    if fits(pane_ms) {
        return Some(());
    }
    let problem = if within_ms % pane_ms != 0 {
        format!("`within`, {}, is no multiple of `resolution`, {}", short(within_ms), short(pane_ms))
    } else {
        format!("a window of {} panes; it has at most {PANES_MAX}", within_ms / pane_ms)
    };
    // The whole window is a pane that always fits.
    let lengths = (1..=i64::from(PANES_MAX)).rev().map(|panes| within_ms / panes);
    let finest = lengths.into_iter().find(|ms| *ms >= RULE_SPAN_MS_MIN && fits(*ms)).unwrap_or(within_ms);
    let error = report
        .error(Code::BadPanes, place, problem)
        .help(format!("`resolution: {}` is the finest that will do", short(finest)));
    if is_default {
        error.label(format!(
            "over {EXACT_THRESHOLD_MAX}, matches are counted in panes, of {} by default",
            short(RESOLUTION_MS_DEFAULT)
        ));
    }
    None
}
