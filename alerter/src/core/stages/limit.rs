//! Whether a tenant has room for one more delivery.

use logystera_schemas::detection::Detection;
use logystera_schemas::limits::DELIVERIES_MAX;

use crate::core::delivery::Delivery;
use crate::core::reason::Reason;
use crate::core::tenant::Tenant;

/// Why there is no room for a planned delivery. None: there is. One that overtakes another needs no room of its own.
pub(in crate::core) fn limit(tenant: &Tenant, planned: &Delivery, detection: &Detection) -> Option<Reason> {
    let takes_a_place = || planned.lanes().any(|lane| tenant.is_overtaken_by(&lane, detection));
    (tenant.line_count() >= DELIVERIES_MAX && !takes_a_place()).then_some(Reason::QueueFull)
}
