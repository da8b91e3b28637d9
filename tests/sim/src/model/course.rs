//! The course of a site's time: what is released, which deadlines run, what is judged (design, sections 5 and 6).

use std::sync::Arc;

use logystera_processor::core::Rule;
use logystera_schemas::ids::SpoolId;

use super::group::{Group, Timer};
use super::measures::{self, tells_each};
use super::show;
use super::site::Site;
use super::waiting::Waiting;
use crate::input::SignalIn;

impl Site {
    /// Moves the watermark as far as the spools let it and runs what lies at or below it, in the order of time: at one time
    /// the signals, then the deadlines, then the switches.
    pub(super) fn advance(&mut self, own: Option<SpoolId>) {
        if let Some(reached) = self.reaches(own) {
            self.go_on_to(reached);
        }
    }

    /// Moves the watermark, unless it is there.
    pub(super) fn go_on_to(&mut self, reached: i64) {
        // It never goes back; but a late signal may have made a deadline of the very time that was reached.
        let to = self.watermark.map_or(reached, |w| w.max(reached));
        let moved = self.watermark.is_none_or(|w| w < to);
        self.run_until(to);
        self.watermark = Some(to);
        self.end_minutes(to);
        if moved {
            self.end_wait(to);
        }
        self.settle(to);
    }

    /// Runs what lies at or below `to`.
    pub(super) fn run_until(&mut self, to: i64) {
        loop {
            let held = self.held.keys().next().map(|place| (place.0, false));
            let deadline = self.next_deadline().map(|d| (d.0, true));
            match [held, deadline].into_iter().flatten().min() {
                Some((at, _)) if at > to => break,
                None => break,
                Some((at, false)) => match self.held.pop_first() {
                    Some((_, Waiting::Signal(signal))) => self.judge(at, &signal, at),
                    Some((place, Waiting::Switch(enabled))) => self.switch(place.1, enabled, at, false),
                    None => {}
                },
                Some((at, true)) => {
                    if let Some((_, key, timer)) = self.next_deadline() {
                        self.run(&key, timer, at);
                    }
                }
            }
        }
    }

    /// The first deadline in the order of time, rule, group.
    fn next_deadline(&self) -> Option<(i64, (String, Vec<u8>), Timer)> {
        let next = |rule: &Rule, group: &Group| group.next_timer(rule, !self.silence.holds_absences());
        let deadlines = self.groups.iter().filter_map(|(key, group)| {
            let rule = self.rules.rules.iter().find(|r| r.name.as_str() == key.0)?;
            next(rule, group).map(|(at, timer)| (at, key.clone(), timer))
        });
        deadlines.min()
    }

    fn run(&mut self, key: &(String, Vec<u8>), timer: Timer, now: i64) {
        let rules = Arc::clone(&self.rules);
        let Some(rule) = rules.rules.iter().find(|r| r.name.as_str() == key.0) else { return };
        let Some(mut group) = self.groups.remove(key) else { return };
        let all = group.run(timer, rule, now);
        for said in &all {
            self.emit(rule, &key.1, &group, *said);
        }
        group.was_told(rule, &all);
        if timer != Timer::Empty && timer != Timer::Forget {
            self.groups.insert(key.clone(), group);
        }
    }

    /// Shows a signal to every rule, at site time `now`.
    pub(super) fn judge(&mut self, at: i64, signal: &SignalIn, now: i64) {
        let rules = Arc::clone(&self.rules);
        if rules.disabled.contains(signal.kind) {
            return;
        }
        self.measure(at, signal);
        for rule in rules.rules.iter().filter(|r| show::matches(r, signal)) {
            if !measures::of(rule).iter().any(|measure| measures::joins(measure, at, signal, now)) {
                continue;
            }
            let key = (rule.name.as_str().to_owned(), show::key(rule, signal));
            if !self.groups.contains_key(&key) {
                if tells_each(rule) && rule.suppress_ms == 0 {
                    self.tell_only(rule, at, signal, now);
                    continue;
                }
                self.make_room(rule, now);
            }
            let is_on = self.enabled().contains(signal.kind);
            let mut group = self.groups.remove(&key).unwrap_or_default();
            group.labels = show::labels(rule, signal);
            let all = group.add(rule, at, signal, now);
            for said in &all {
                self.emit(rule, &key.1, &group, *said);
            }
            group.was_told(rule, &all);
            if !is_on {
                group.absent_since = None;
            }
            self.groups.insert(key, group);
        }
    }
}
