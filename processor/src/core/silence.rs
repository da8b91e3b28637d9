//! The silence of a whole site, and its end.

use std::sync::Arc;

use logystera_schemas::detection::Detection;
use logystera_schemas::time::{OpenMs, WallMs};

use super::blind::{Blind, blind_from};
use super::head::Version;
use super::log_time::LogTime;
use super::site::Site;

impl Site {
    /// A sign of life: ends blindness.
    pub(super) fn hear_site(&mut self, time: &LogTime, out: &mut Vec<Detection>) {
        self.head.heard_open = time.open;
        self.head.heard_wall = time.wall();
        self.changes.head = true;
        let mut was_blind = false;
        for (place, _) in &self.board.program.silences {
            let state = &mut self.board.rules[usize::from(*place)];
            if state.extra.blind.firing {
                was_blind = true;
                state.extra_dirty = true;
                let rule = self.board.program.rule(*place);
                out.extend(state.extra.blind.end(&mut self.head.voice, rule, time.wall()));
            }
        }
        self.board.absences_wait |= was_blind;
    }

    /// Time has moved on: the site may have been silent for too long, or must be told again to be.
    pub fn time_passed(&mut self, time: &LogTime, out: &mut Vec<Detection>) {
        let (has_ended, reminds) = (self.has_ended(), self.reminds());
        let program = Arc::clone(&self.board.program);
        for (place, after_ms) in &program.silences {
            let from = self.blind_from(*after_ms, time);
            let rule = program.rule(*place);
            let state = &mut self.board.rules[usize::from(*place)];
            let blind = &mut state.extra.blind;
            if !blind.firing && !has_ended && time.open >= from {
                out.push(blind.fire(&mut self.head.voice, rule, self.head.heard_wall, time.wall()));
            } else if reminds && blind.reminds_at().is_some_and(|at| at <= time.wall()) {
                out.extend(blind.remind(&mut self.head.voice, rule, time.wall()));
            } else {
                continue;
            }
            state.extra_dirty = true;
            self.changes.head = true;
        }
    }

    /// Open time at which the site must be looked at again, should nothing be heard until then.
    pub fn next_open(&self, time: &LogTime) -> Option<OpenMs> {
        if self.has_ended() {
            return None;
        }
        let waits = self.blinds().filter(|(_, blind)| !blind.firing);
        waits.map(|(after_ms, _)| self.blind_from(after_ms, time)).min()
    }

    /// Wall time at which the site must be looked at again, should nothing be heard until then.
    pub fn next_wall(&self) -> Option<WallMs> {
        if !self.reminds() {
            return None;
        }
        self.blinds().filter_map(|(_, blind)| blind.reminds_at()).min()
    }

    /// What rules know of the site's silence, and how long it may last.
    fn blinds(&self) -> impl Iterator<Item = (i64, &Blind)> {
        let silences = self.board.program.silences.iter();
        silences.map(|(place, after_ms)| (*after_ms, &self.board.rules[usize::from(*place)].extra.blind))
    }

    /// Whether a silence that goes on is told again.
    fn reminds(&self) -> bool {
        self.head.version() >= Version::Two
    }

    /// Whether every spool has said that nothing more comes: then silence is what was promised.
    fn has_ended(&self) -> bool {
        let ends = self.head.version() >= Version::Two && !self.spools.is_empty();
        ends && self.spools.values().all(|spool| spool.ended)
    }

    fn blind_from(&self, after_ms: i64, time: &LogTime) -> OpenMs {
        let flush_every_s = self.spools.values().map(|s| s.flush_every_s).max().unwrap_or(0);
        blind_from(self.head.heard_open, after_ms, flush_every_s, time.gap_end)
    }
}
