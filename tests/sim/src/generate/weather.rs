//! How bad a run is.

use crate::rng::Rng;

/// How often, of 10,000 steps (for the first two and `learns`: of 10,000 batches), each thing happens.
#[derive(Clone, Debug)]
pub(super) struct Weather {
    pub(super) lost_answer: u64,
    pub(super) lost_request: u64,
    pub(super) learns: u64,
    pub(super) cut_off: u64,
    pub(super) door_shut: u64,
    pub(super) idle: u64,
    pub(super) clock_jump: u64,
    pub(super) stray_clock: u64,
    pub(super) hostile: u64,
    pub(super) configure: u64,
    pub(super) switch: u64,
    pub(super) refused: u64,
    pub(super) new_spool: u64,
    pub(super) backlog: u64,
    pub(super) one_off: u64,
    pub(super) restored: u64,
    pub(super) flood: u64,
    pub(super) new_key: u64,
    pub(super) stolen_key: u64,
    pub(super) days: u64,
    pub(super) rest: u64,
}

impl Weather {
    pub(super) fn draw(rng: &mut Rng) -> Self {
        let mut some = |most: u64| if rng.chance(50) { rng.below(most) } else { 0 };
        Self {
            lost_answer: some(3_000),
            lost_request: some(3_000),
            learns: some(5_000),
            cut_off: some(200),
            door_shut: some(100),
            idle: some(150),
            clock_jump: some(150),
            stray_clock: some(250),
            hostile: some(500),
            configure: some(150),
            switch: some(150),
            refused: some(300),
            new_spool: some(100),
            backlog: some(60),
            one_off: some(150),
            restored: some(100),
            flood: some(30),
            new_key: some(150),
            stolen_key: some(100),
            days: some(40),
            rest: some(100),
        }
    }

    /// More of what only one of the versions of the semantics knows.
    pub(super) fn for_stepping_back(&mut self, rng: &mut Rng) {
        let mut more = |of: &mut u64, most: u64| *of = (*of).max(rng.below(most));
        more(&mut self.one_off, 600);
        more(&mut self.switch, 400);
        more(&mut self.cut_off, 400);
        more(&mut self.idle, 300);
        more(&mut self.new_spool, 200);
        more(&mut self.new_key, 300);
        more(&mut self.stolen_key, 300);
    }
}
