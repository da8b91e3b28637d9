//! What the gateway turned away.

use logystera_schemas::avro::DecodeError;
use logystera_schemas::detection::Detection;
use logystera_schemas::signals_topic::Refused;

use super::head::Version;
use super::log_time::LogTime;
use super::site::Site;

impl Site {
    /// Takes note of what the gateway turned away: a sign of life only where the MAC held.
    pub fn refused(&mut self, refused: &Refused, time: &LogTime, out: &mut Vec<Detection>) -> Result<(), DecodeError> {
        self.head.outcomes.refused += refused.count;
        self.changes.head = true;
        if !refused.authenticated {
            return Ok(());
        }
        self.forget_spools(time.wall());
        let names_others = self.head.version() >= Version::Two;
        if let Some(spool) = refused.spool.filter(|spool| names_others || self.spools.contains_key(spool)) {
            self.hear_spool(spool, false, time);
        }
        self.hear_site(time, out);
        self.switch_as_live();
        if self.head.watermark.is_some() {
            self.release(self.next_watermark(None), out)?;
        }
        Ok(())
    }
}
