//! The clock of the log ran ahead and was set back: what had followed it goes back, or all that the site sends would be late
//! until time catches up.

use std::sync::Arc;

use logystera_schemas::avro::DecodeError;
use logystera_schemas::detection::Detection;
use logystera_schemas::limits::AHEAD_MS_MAX;
use logystera_schemas::time::{SiteMs, WallMs};

use super::board::{Board, reschedule};
use super::site::Site;

impl Site {
    /// Wall time was set back from `before` to `wall`.
    pub fn set_back(&mut self, before: WallMs, wall: WallMs, out: &mut Vec<Detection>) -> Result<(), DecodeError> {
        self.head.heard_wall = self.head.heard_wall.min(wall);
        for (id, spool) in self.spools.iter_mut().filter(|(_, spool)| spool.last_batch > wall) {
            spool.last_batch = wall;
            self.changes.spools.insert(*id);
        }
        for state in &mut self.board.rules {
            if let Some(until) = &mut state.extra.blind.suppressed_until {
                *until = until.plus(-before.since(wall));
                state.extra_dirty = true;
            }
        }
        self.changes.head = true;
        match self.head.watermark {
            Some(now) if now > SiteMs(wall.0).plus(AHEAD_MS_MAX) => self.start_time_anew(SiteMs(wall.0), out),
            _ => Ok(()),
        }
    }

    /// The site's time goes on from `to`, which lies behind its watermark. How far each thing lies from the watermark stays.
    fn start_time_anew(&mut self, to: SiteMs, out: &mut Vec<Detection>) -> Result<(), DecodeError> {
        if let Some((newest, ..)) = self.held.last_key_value().map(|(key, _)| *key) {
            self.release(newest, out)?;
        }
        let now = self.now();
        let ms = now.since(to);
        self.head.watermark = Some(to);
        for (id, spool) in &mut self.spools {
            spool.through = spool.through.plus(-ms).min(to);
            self.changes.spools.insert(*id);
        }
        self.board.move_back(ms, now);
        self.head.outcomes.time_resets += 1;
        out.push(self.head.voice.speak_of_reset(to, now));
        Ok(())
    }
}

impl Board {
    /// All times go back by `ms`; the site had reached `now`. Absences wait for the next watermark.
    fn move_back(&mut self, ms: i64, now: SiteMs) {
        let program = Arc::clone(&self.program);
        self.absences_wait = true;
        self.deadlines.clear();
        for (place, state) in (0..).zip(&mut self.rules) {
            if let Some(until) = &mut state.extra.overflow_until {
                *until = until.plus(-ms);
                state.extra_dirty = true;
            }
            state.leaving.forget();
            for (key, group) in &mut state.groups {
                let cost = group.cost(key);
                group.move_back(ms, now, program.plan(place));
                self.bytes = self.bytes + group.cost(key) - cost;
                if !std::mem::replace(&mut group.dirty, true) {
                    self.changed.push((place, key.clone()));
                }
                group.scheduled = SiteMs::MAX;
                reschedule(&mut self.deadlines, self.absences_wait, &program, place, key, group);
            }
        }
    }
}
