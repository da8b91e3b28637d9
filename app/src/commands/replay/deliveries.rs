//! `logystera replay --verify`: what came of the delivery history, tenant by tenant.

use logystera_replay::{Deliveries, RowDifference, TenantRows, Unjudged};
use logystera_schemas::ids::TenantId;
use serde_json::{Value, json};

use crate::cli::{CliError, Out, counted};

/// Says which rows were verified, and which were not.
pub(super) fn tell(out: &mut Out, seen: &Deliveries) -> Result<(), CliError> {
    let Deliveries { tenants, records, skipped, unrecorded, gone } = seen;
    if tenants.is_empty() && *unrecorded == 0 {
        return Ok(());
    }
    let verified = if seen.is_proved() { "Verified" } else { "Verified in part" };
    let rows: u64 = tenants.values().map(|rows| rows.chain.linked + rows.chain.unlinked).sum();
    let planned: u64 = tenants.values().map(|rows| rows.planned).sum();
    out.line(format_args!(
        "{verified}: {records} records of topic detections give {planned} of {} of topic attempts byte for byte ({}).",
        counted(rows, "row", "rows"),
        counted(tenants.len() as u64, "chain", "chains")
    ))?;
    for (tenant, rows) in tenants {
        out.line(format_args!("  tenant {tenant}: {}", of_tenant(rows)))?;
    }
    if *unrecorded > 0 {
        out.line(format_args!(
            "{} due: the alerter has not come so far.",
            counted(*unrecorded, "more row is", "more rows are")
        ))?;
    }
    if *gone > 0 {
        let rows = counted(*gone, "more row is", "more rows are");
        out.line(format_args!("{rows} no longer recorded: older than topic attempts reaches back."))?;
    }
    if *skipped > 0 {
        let records = counted(*skipped, "record of topic detections was", "records of topic detections were");
        out.line(format_args!("{records} passed over, as the planner did: `log skip` has said so."))?;
    }
    Ok(())
}

/// How far a tenant's rows are proved.
fn of_tenant(rows: &TenantRows) -> String {
    let linked = match rows.chain.numbers {
        None => "no linked rows".to_owned(),
        Some((first, last)) if first == last => format!("row {first}, linked"),
        Some((first, last)) => format!("rows {first} to {last}, each linked to the one before"),
    };
    let unlinked = match rows.chain.unlinked {
        0 => String::new(),
        unlinked => format!("; {} of before, without a link", counted(unlinked, "row", "rows")),
    };
    let unjudged = match rows.unjudged {
        None => "",
        Some(Unjudged::BeginningGone) => {
            ". Not verified: that they are what was planned. The start of topic detections is gone, and with it what the planner knew"
        }
        Some(Unjudged::OtherVersion) => {
            ". Not verified: that they are what was planned. Another version planned some of them, and otherwise than this one does"
        }
    };
    format!("{linked}{unlinked}{unjudged}")
}

/// The same for programs.
pub(super) fn object(seen: &Deliveries) -> Value {
    let Deliveries { tenants, records, skipped, unrecorded, gone } = seen;
    let tenants: Vec<Value> = tenants.iter().map(|(tenant, rows)| of_tenant_object(tenant, rows)).collect();
    json!({
        "verified": seen.is_proved(), "records": records, "tenants": tenants, "not_yet_recorded": unrecorded,
        "recorded_no_longer": gone, "skipped": skipped,
    })
}

fn of_tenant_object(tenant: &TenantId, rows: &TenantRows) -> Value {
    let (first, last) = rows.chain.numbers.unzip();
    let not_judged = rows.unjudged.map(|why| match why {
        Unjudged::BeginningGone => "beginning_gone",
        Unjudged::OtherVersion => "other_version",
    });
    let difference = rows.difference.as_ref().map(|found| json!({"row": found.number, "what": found.what}));
    json!({
        "tenant": tenant, "rows": rows.chain.linked, "first_row": first, "last_row": last, "without_link": rows.chain.unlinked,
        "planned": rows.planned, "not_judged": not_judged, "difference": difference,
    })
}

/// Says what is not as it should be, of each tenant the first.
pub(super) fn report(seen: &Deliveries, detections: u64, as_json: bool) -> Result<(), CliError> {
    let mut out = Out::new();
    if as_json {
        out.json(&json!({"verified": false, "detections": detections, "deliveries": object(seen)}))?;
    } else {
        for (tenant, RowDifference { number, what }) in seen.differences() {
            let row = number.map_or("a row".to_owned(), |number| format!("row {number}"));
            out.line(format_args!("First difference: {row} of tenant {tenant}, {what}."))?;
        }
    }
    Ok(out.flush()?)
}
