//! A site counts signals for its metrics as it judges them, and closes the minutes that its watermark has passed.

use logystera_schemas::avro::DecodeError;
use logystera_schemas::batch::Frame;
use logystera_schemas::series::MINUTE_MS;
use logystera_schemas::time::SiteMs;
use logystera_series::Minute;

use super::program::Program;
use super::record::SiteRecord;
use super::site::Site;

impl Site {
    /// Counts a signal of site time `at`: in its own minute, or in the open one if the watermark has passed that. `is_late`: it
    /// came after the watermark had passed it.
    #[inline]
    pub(crate) fn measure(&mut self, signal: &Frame<'_>, at: SiteMs, is_late: bool) -> Result<(), DecodeError> {
        if self.groups.program.series.of(signal.kind).metrics.is_empty() {
            return Ok(());
        }
        let minute = number(at).max(self.record.watermark.map_or(i64::MIN, open_at));
        let program = &*self.groups.program;
        self.series.count((&program.set, &program.series), signal, minute, is_late, &of(&self.record))
    }

    /// Closes the minutes before the one that the watermark has reached.
    pub(crate) fn close_minutes(&mut self, watermark: SiteMs) {
        let program = &*self.groups.program;
        self.series.close_before((&program.set, &program.series), open_at(watermark), &of(&self.record));
    }

    /// Closes the open minute, whether or not the watermark has passed it.
    pub(crate) fn close_minute(&mut self) {
        let program = &*self.groups.program;
        self.series.close((&program.set, &program.series), &of(&self.record));
    }

    /// The metrics go on under another program.
    pub(crate) fn remeasure(&mut self, old: &Program, new: &Program) {
        self.series.reprogram((&old.set, &old.series), (&new.set, &new.series));
    }

    /// What was counted and not written moves to where the time of the site goes on.
    pub(crate) fn move_minute(&mut self, to: SiteMs) {
        self.series.move_to(&self.groups.program.set, open_at(to));
    }
}

fn of(record: &SiteRecord) -> Minute<'_> {
    Minute { tenant: &record.chain.tenant, site: &record.chain.site, resets: record.outcomes.time_resets }
}

/// Number of the minute that a time lies in.
fn number(at: SiteMs) -> i64 {
    at.0.div_euclid(MINUTE_MS)
}

/// Number of the minute that is open at a watermark: of the next millisecond, which it has not passed.
fn open_at(watermark: SiteMs) -> i64 {
    number(watermark.plus(1))
}
