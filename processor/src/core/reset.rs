//! The log's clock begins, or ran ahead and was set back. What had followed it goes back too: else all that a site sends would
//! be late until time catches up.

use std::sync::Arc;

use logystera_schemas::avro::DecodeError;
use logystera_schemas::detection::Detection;
use logystera_schemas::limits::AHEAD_MS_MAX;
use logystera_schemas::time::{SiteMs, WallMs};

use super::rule_groups::{RuleGroups, reschedule};
use super::site::Site;

impl Site {
    /// Wall time begins at `wall`: what came before it counts as heard now, since nobody knows how long ago it was. Of a
    /// site that moved here some may have a time already.
    pub(crate) fn time_begins(&mut self, wall: WallMs) {
        if self.record.heard_wall == WallMs::default() {
            self.record.heard_wall = wall;
            self.changes.record = true;
        }
        for (id, spool) in self.spools.iter_mut().filter(|(_, spool)| spool.last_batch == WallMs::default()) {
            spool.last_batch = wall;
            self.changes.spools.insert(*id);
        }
    }

    /// Wall time was set back from `before` to `wall`: the wall times of the site go back too, and so does its site
    /// time if it lies ahead.
    pub(crate) fn set_back(
        &mut self,
        before: WallMs,
        wall: WallMs,
        out: &mut Vec<Detection>,
    ) -> Result<(), DecodeError> {
        self.record.heard_wall = self.record.heard_wall.min(wall);
        for (id, spool) in self.spools.iter_mut().filter(|(_, spool)| spool.last_batch > wall) {
            spool.last_batch = wall;
            self.changes.spools.insert(*id);
        }
        for state in &mut self.groups.rules {
            if let Some(until) = &mut state.extras.blind.suppressed_until {
                *until = until.plus(-before.since(wall));
                state.extras_dirty = true;
            }
        }
        self.changes.record = true;
        match self.record.watermark {
            Some(now) if now > SiteMs(wall.0).plus(AHEAD_MS_MAX) => self.start_time_anew(SiteMs(wall.0), out),
            _ => Ok(()),
        }
    }

    /// The site's time goes on from `to`, which lies before its watermark. What it remembers keeps its distance from the
    /// watermark; what it holds is judged first.
    fn start_time_anew(&mut self, to: SiteMs, out: &mut Vec<Detection>) -> Result<(), DecodeError> {
        if let Some((newest, ..)) = self.held.last_key_value().map(|(key, _)| *key) {
            self.release(newest, out)?;
        }
        let now = self.now();
        let ms = now.since(to);
        self.record.watermark = Some(to);
        for (id, spool) in &mut self.spools {
            spool.through = spool.through.plus(-ms).min(to);
            self.changes.spools.insert(*id);
        }
        self.groups.move_back(ms, now);
        self.move_minute(to);
        self.record.outcomes.time_resets += 1;
        out.push(self.record.chain.emit_reset(to, now));
        Ok(())
    }
}

impl RuleGroups {
    /// All times go back by `ms`; the site had reached `now` before. Absences wait for the next watermark.
    fn move_back(&mut self, ms: i64, now: SiteMs) {
        let program = Arc::clone(&self.program);
        self.absences_wait = true;
        self.deadlines.clear();
        for ((index, _, plan), state) in program.iter().zip(&mut self.rules) {
            if let Some(until) = &mut state.extras.overflow_until {
                *until = until.plus(-ms);
                state.extras_dirty = true;
            }
            state.order.reset();
            for (key, group) in &mut state.groups {
                let bytes_before = group.bytes(key);
                group.move_back(ms, now, plan);
                self.bytes = self.bytes + group.bytes(key) - bytes_before;
                if !std::mem::replace(&mut group.dirty, true) {
                    self.changed.push((index, key.clone()));
                }
                group.scheduled = SiteMs::MAX;
                reschedule(&mut self.deadlines, self.absences_wait, &program, index, key, group);
            }
        }
    }
}
