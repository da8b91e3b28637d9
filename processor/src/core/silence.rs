//! The silence of a whole site, and its end.

use std::sync::Arc;

use logystera_schemas::detection::Detection;
use logystera_schemas::time::{OpenMs, WallMs};

use super::conditions::blind;
use super::log_time::LogTime;
use super::site::Site;
use super::version::Version;

impl Site {
    /// Takes a sign of life of the site: it ends blindness.
    pub(crate) fn hear_site(&mut self, time: &LogTime, out: &mut Vec<Detection>) {
        self.record.heard_open = time.open;
        self.record.heard_wall = time.wall();
        self.changes.record = true;
        let mut was_blind = false;
        for (index, _) in &self.groups.program.silences {
            let state = &mut self.groups.rules[index.at()];
            if state.extras.blind.firing {
                was_blind = true;
                state.extras_dirty = true;
                let rule = self.groups.program.rule(*index);
                out.extend(state.extras.blind.end(&mut self.record.chain, rule, time.wall()));
            }
        }
        self.groups.absences_wait |= was_blind;
    }

    /// Time has moved on: the site may now be silent for too long, or a reminder of its silence may be due.
    pub(crate) fn time_passed(&mut self, time: &LogTime, out: &mut Vec<Detection>) {
        let (has_ended, reminds) = (self.has_ended(), self.reminds());
        let program = Arc::clone(&self.groups.program);
        for (index, plan) in &program.silences {
            let from = self.blind_from(*plan, time);
            let rule = program.rule(*index);
            let state = &mut self.groups.rules[index.at()];
            let blind = &mut state.extras.blind;
            if !blind.firing && !has_ended && time.open >= from {
                out.push(blind.fire(&mut self.record.chain, rule, self.record.heard_wall, time.wall()));
            } else if reminds && blind.reminds_at().is_some_and(|at| at <= time.wall()) {
                out.extend(blind.remind(&mut self.record.chain, rule, time.wall()));
            } else {
                continue;
            }
            state.extras_dirty = true;
            self.changes.record = true;
        }
    }

    /// Open time at which the site must be looked at again if nothing is heard of it until then.
    pub(crate) fn next_open(&self, time: &LogTime) -> Option<OpenMs> {
        if self.has_ended() {
            return None;
        }
        let waits = self.blinds().filter(|(_, blind)| !blind.firing);
        waits.map(|(plan, _)| self.blind_from(*plan, time)).min()
    }

    /// Wall time at which the site must be looked at again if nothing is heard of it until then.
    pub(crate) fn next_wall(&self) -> Option<WallMs> {
        if !self.reminds() {
            return None;
        }
        self.blinds().filter_map(|(_, blind)| blind.reminds_at()).min()
    }

    /// The rules that watch for the site's silence, and what each knows of it.
    fn blinds(&self) -> impl Iterator<Item = (&blind::Plan, &blind::State)> {
        let silences = self.groups.program.silences.iter();
        silences.map(|(index, plan)| (plan, &self.groups.rules[index.at()].extras.blind))
    }

    /// Whether a silence that goes on brings reminders.
    fn reminds(&self) -> bool {
        self.record.version() >= Version::Two
    }

    /// Whether every spool declared that nothing more comes: then the silence was announced.
    fn has_ended(&self) -> bool {
        let ends = self.record.version() >= Version::Two && !self.spools.is_empty();
        ends && self.spools.values().all(|spool| spool.ended)
    }

    /// Open time from which on the site is blind by this plan if nothing is heard of it.
    fn blind_from(&self, plan: blind::Plan, time: &LogTime) -> OpenMs {
        let flush_every_s = self.spools.values().map(|s| s.flush_every_s).max().unwrap_or(0);
        plan.blind_from(self.record.heard_open, flush_every_s, time.gap_end)
    }
}
