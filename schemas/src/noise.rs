//! What is not told now, or not to everybody: silences of a tenant, and what a channel takes and when. Whether a
//! detection is meant is decided here, so that a command, a page and the planner say the same.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::avro_record;
use crate::calendar::DAY_MS;
use crate::detection::{Detection, Severity};
use crate::ids::{RuleName, SilenceId, SiteId, TenantId};
use crate::labels::{SiteLabel, match_all};
use crate::limits::{PER_MINUTE_MAX, SILENCE_MS_MAX, UTC_OFFSET_MIN_MAX};
use crate::schema::{Kind, TopicRecord};
use crate::time::WallMs;

avro_record! {
    /// What a tenant does not want to hear of for a while. Stands in `detections`, where the planner meets it, and in
    /// `control`, for lists; the newest of an id counts. Each matcher that is set must match; none set: everything of
    /// the tenant.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize)]
    pub struct Silence {
        /// Id. The id of one that is over is used again if a tenant has as many as are kept.
        pub silence: SilenceId,
        /// Tenant.
        pub tenant: TenantId,
        /// Who wants it.
        pub author: String,
        /// Why, in their words.
        pub reason: String,
        /// When it was made, milliseconds since the epoch, by the clock of the one who made it.
        pub created_at: WallMs,
        /// First time at which it holds. Not after `created_at`: it holds from its record on.
        pub from: WallMs,
        /// First time at which it holds no more.
        pub until: WallMs,
        /// When it was ended before that, by hand: it holds no more from that record on.
        pub ended_at: Option<WallMs>,
        /// Only this site's.
        pub site: Option<SiteId>,
        /// Only this rule's.
        pub rule: Option<RuleName>,
        /// Only of this severity.
        pub severity: Option<Severity>,
        /// Only of this part of a site.
        pub subsystem: Option<String>,
        /// Only of sites with these labels, as [`labels::match_all`](crate::labels::match_all) says. Empty: of all.
        pub labels: Vec<SiteLabel> where since 2,
    }
}

impl Silence {
    /// Whether it holds at `at`.
    pub fn is_live(&self, at: WallMs) -> bool {
        !self.is_over(at) && (self.from <= self.created_at || self.from <= at)
    }

    /// Whether it holds no more at `at`, and never will.
    pub fn is_over(&self, at: WallMs) -> bool {
        self.ended_at.is_some() || self.until <= at
    }

    /// Whether a detection of its tenant, whose site has `labels`, is what it is about.
    pub fn matches(&self, detection: &Detection, labels: &[SiteLabel]) -> bool {
        self.site.as_ref().is_none_or(|site| *site == detection.site)
            && self.rule.as_ref().is_none_or(|rule| *rule == detection.rule)
            && self.severity.is_none_or(|severity| severity == detection.severity)
            && self.subsystem.as_ref().is_none_or(|subsystem| *subsystem == detection.subsystem)
            && match_all(&self.labels, labels)
    }

    /// Whether its times are such as a silence may have: an end behind its beginning, not further off than
    /// [`SILENCE_MS_MAX`].
    pub fn is_bounded(&self) -> bool {
        let from = self.from.max(self.created_at);
        from < self.until && self.until.since(self.created_at) <= SILENCE_MS_MAX
    }
}

avro_record! {
    /// Hours of the day in which a channel is left alone, on every day. They are told as minutes from UTC, so that a
    /// replay does not depend on a zone's rules.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
    pub struct QuietHours {
        /// Minutes that its clock is ahead of UTC.
        pub utc_offset_min: i32,
        /// First minute of the day, by that clock.
        pub from_min: u32,
        /// Minute of the day at which they are over.
        pub to_min: u32,
        /// What is at least this bad is told anyway.
        pub except: Option<Severity>,
    }
}

/// Milliseconds of a minute.
const MINUTE_MS: i64 = 60_000;

impl QuietHours {
    /// When they are over, if they hold at `at`: the first minute counts among them, the last one does not.
    pub fn over_at(&self, at: WallMs) -> Option<WallMs> {
        let local = at.0.saturating_add(i64::from(self.utc_offset_min) * MINUTE_MS);
        let in_day = local.rem_euclid(DAY_MS);
        let (from, to) = (i64::from(self.from_min) * MINUTE_MS, i64::from(self.to_min) * MINUTE_MS);
        let left = (to - in_day).rem_euclid(DAY_MS);
        let whole = (to - from).rem_euclid(DAY_MS);
        (0 < left && left <= whole).then(|| at.plus(left))
    }

    /// Whether a severity is told in them.
    pub fn lets_through(&self, severity: Severity) -> bool {
        self.except.is_some_and(|least| severity >= least)
    }
}

impl fmt::Display for QuietHours {
    /// As [`Self::from_str`] reads it; what is told anyway is not said.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clock = |min: u32| format!("{:02}:{:02}", min / 60, min % 60);
        let ahead = self.utc_offset_min.unsigned_abs();
        let sign = if self.utc_offset_min < 0 { '-' } else { '+' };
        write!(f, "{}-{}{sign}{}", clock(self.from_min), clock(self.to_min), clock(ahead))
    }
}

/// Why a text says no quiet hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected such as 22:00-07:00+02:00: from, to, and how far that clock is from UTC; without that it is UTC")]
pub struct NoQuietHours;

impl FromStr for QuietHours {
    type Err = NoQuietHours;

    fn from_str(text: &str) -> Result<Self, NoQuietHours> {
        let clock = |text: &str| -> Option<u32> {
            let digits = text.bytes().enumerate().all(|(i, b)| if i == 2 { b == b':' } else { b.is_ascii_digit() });
            let (hour, minute) = text.split_once(':').filter(|_| digits && text.len() == 5)?;
            let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
            (hour < 24 && minute < 60).then_some(hour * 60 + minute)
        };
        let parse = || {
            let (from, rest) = text.split_at_checked(5)?;
            let (to, offset) = rest.strip_prefix('-')?.split_at_checked(5)?;
            let utc_offset_min = match offset.split_at_checked(1) {
                None | Some(("Z", "")) => 0,
                Some(("+", ahead)) => i32::try_from(clock(ahead)?).ok()?,
                Some(("-", behind)) => -i32::try_from(clock(behind)?).ok()?,
                Some(_) => return None,
            };
            let (from_min, to_min) = (clock(from)?, clock(to)?);
            let fits = from_min != to_min && utc_offset_min.abs() <= UTC_OFFSET_MIN_MAX;
            fits.then_some(Self { utc_offset_min, from_min, to_min, except: None })
        };
        parse().ok_or(NoQuietHours)
    }
}

avro_record! {
    /// What a channel takes. Written with each change of it, into `control` and with the tenant's channels into
    /// `detections`.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize)]
    pub struct ChannelSettings {
        /// Least severity. None: every one.
        pub severity: Option<Severity>,
        /// Only these parts of a site. Empty: all.
        pub subsystems: Vec<String>,
        /// Only these rules. Empty: all.
        pub rules: Vec<RuleName>,
        /// Only these sites. Empty: all.
        pub sites: Vec<SiteId>,
        /// Whether it is told that something is over.
        pub resolved: bool,
        /// When it is left alone.
        pub quiet: Option<QuietHours>,
        /// Messages a minute, at most. None: as its kind takes them.
        pub per_minute: Option<u32>,
    }
}

impl Default for ChannelSettings {
    /// Everything, at once.
    fn default() -> Self {
        let (subsystems, rules, sites) = (Vec::new(), Vec::new(), Vec::new());
        Self { severity: None, subsystems, rules, sites, resolved: true, quiet: None, per_minute: None }
    }
}

impl ChannelSettings {
    /// Whether a detection is one that it takes.
    pub fn takes(&self, detection: &Detection) -> bool {
        let among = |list: &[String], text: &str| list.is_empty() || list.iter().any(|wanted| wanted == text);
        self.severity.is_none_or(|least| detection.severity >= least)
            && among(&self.subsystems, &detection.subsystem)
            && (self.rules.is_empty() || self.rules.contains(&detection.rule))
            && (self.sites.is_empty() || self.sites.contains(&detection.site))
    }

    /// Whether its rate is one that a channel may have.
    pub fn is_bounded(&self) -> bool {
        self.per_minute.is_none_or(|n| (1..=PER_MINUTE_MAX).contains(&n))
    }

    /// Whether it takes everything at once: what a channel does that nobody set.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl TopicRecord for Silence {
    const KIND: Kind = Kind::Silence;
}

#[cfg(test)]
#[path = "noise_tests.rs"]
mod tests;
