//! The chain of a tenant's rows: each is numbered and linked to the one before, so that none can be changed, taken out,
//! doubled or moved unnoticed. It goes on when all of the tenant's channels and deliveries are gone.

use logystera_schemas::delivery::Attempt;

use super::SEMANTICS;
use super::key::Key;
use super::planner::Planner;
use super::row::Head;

impl Planner {
    /// Numbers and links rows, each behind its tenant's newest one. The one place where rows get what makes them a chain.
    pub(super) fn link(&mut self, rows: &mut [Attempt]) {
        for row in rows {
            let head = self.chains.get(&row.tenant).copied();
            let previous = head.map_or_else(|| Attempt::genesis(&row.tenant), |head| head.chain);
            row.number = head.map_or(0, |head| head.number) + 1;
            row.semantics = SEMANTICS;
            let chain = row.link(&previous);
            row.chain = Some(chain);
            self.chains.insert(row.tenant.clone(), Head { number: row.number, chain });
            self.dirty.mark(Key::Chain(row.tenant.clone()));
        }
    }
}
