//! The labels of a tenant's sites, which routes and silences ask. The planner knows nothing else of sites.

use logystera_schemas::avro_record;
use logystera_schemas::delivery::Attempt;
use logystera_schemas::ids::SiteId;
use logystera_schemas::labels::{SiteLabel, SiteLabelled};
use logystera_schemas::limits::SITE_LABELS_MAX;

use super::key::Key;
use super::planner::Planner;
use super::tenant::Tenant;

/// Number of the entry's layout, as of all entries.
const LAYOUT: u32 = 1;

avro_record! {
    /// A site's labels.
    #[derive(Debug)]
    pub(super) struct LabelsEntry {
        layout: u32,
        pub(super) labels: Vec<SiteLabel>,
    }
}

impl LabelsEntry {
    pub(super) fn of(labels: &[SiteLabel]) -> Self {
        Self { layout: LAYOUT, labels: labels.to_vec() }
    }
}

impl Tenant {
    /// The labels of one of its sites.
    pub(super) fn labels_of(&self, site: &SiteId) -> &[SiteLabel] {
        self.labels.get(site).map_or(&[], Vec::as_slice)
    }
}

impl Planner {
    /// A site has other labels from here on. What is held back is judged by them, too.
    pub(super) fn labelled(&mut self, labelled: SiteLabelled, rows: &mut Vec<Attempt>) {
        let SiteLabelled { tenant: id, site, mut labels } = labelled;
        // The writer of the record keeps the limit too; a record beyond it must not grow the state.
        labels.truncate(SITE_LABELS_MAX);
        let tenant = self.tenants.entry(id.clone()).or_default();
        if labels.is_empty() {
            tenant.labels.remove(&site);
        } else {
            tenant.labels.insert(site.clone(), labels);
        }
        self.dirty.mark(Key::Labels(id.clone(), site));
        self.look_again(&id, None, rows);
        self.forget_if_empty(&id);
    }
}
