//! A tenant's rows, in the order of topic `attempts`: how far their chain holds.

use logystera_alerter::core::SEMANTICS;
use logystera_alerter::history::chain::Chain;
use logystera_schemas::delivery::Attempt;

/// What a comparison has come to of one tenant's rows.
#[derive(Debug, Default)]
pub struct TenantRows {
    /// Its chain.
    pub chain: Chain,
    /// Rows that the planner gives too.
    pub planned: u64,
    /// Why what the planner gives says nothing of its rows. None: each was compared.
    pub unjudged: Option<Unjudged>,
    /// The first thing that is not as it should be. What follows it was not looked at.
    pub difference: Option<RowDifference>,
    /// Whether a row was met that the planner gives too: what it gives from there on must stand there.
    pub(crate) is_met: bool,
    /// Version of the semantics that made the newest row that was compared.
    pub(crate) newest_semantics: Option<u32>,
}

/// Why a tenant's rows are not beside what the planner gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unjudged {
    /// The beginning of topic `detections` is gone: nobody knows what the planner knew then.
    BeginningGone,
    /// Another version planned some of them, and not as this one does.
    OtherVersion,
}

/// The first thing that is not as it should be in a tenant's rows.
#[derive(Debug)]
pub struct RowDifference {
    /// Number of the row. None: it has none, or is not there.
    pub number: Option<u64>,
    /// What is not as it should be. Names fields, never values.
    pub what: String,
}

/// A row as it stands in the log.
pub(crate) struct Stored {
    pub(crate) offset: u64,
    pub(crate) row: Attempt,
}

impl TenantRows {
    /// Whether its rows are compared with what the planner gives.
    pub(crate) fn is_judged(&self) -> bool {
        self.unjudged.is_none() && self.difference.is_none()
    }

    /// Whether another version planned this row, or the one before it, so that nobody knows what else it planned. None:
    /// there is no such row.
    pub(crate) fn is_of_other_version(&self, row: Option<&Attempt>) -> bool {
        let semantics = [row.map(|row| row.semantics), self.newest_semantics];
        semantics.into_iter().flatten().any(|semantics| semantics != SEMANTICS)
    }

    /// What is not as it should be from this row on, unless something else came before it.
    pub(crate) fn differs(&mut self, number: u64, what: String) {
        let number = (number > 0).then_some(number);
        self.difference.get_or_insert(RowDifference { number, what });
    }

    /// Takes the next row, which was read from `value`. `is_cut`: rows before the first one that stands there have
    /// passed their time.
    pub(crate) fn follow(&mut self, stored: &Stored, value: &[u8], is_cut: bool) {
        let Stored { offset, row } = stored;
        if let Some(what) = self.chain.follow(row, value, is_cut) {
            self.differs(row.number, format!("at offset {offset} of topic attempts: {what}"));
        }
    }
}
