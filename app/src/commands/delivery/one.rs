//! One delivery, found by how its id begins.

use logystera_alerter::history::{self, History};

use crate::cli::{CliError, PlaceArgs};
use crate::installation::reading::InstallationLog;

/// Characters of an id that a list shows: enough to tell thousands apart.
pub(super) const ID_SHOWN: usize = 12;

/// The one delivery whose id begins so.
pub(super) fn one(log: &dyn InstallationLog, id: &str, place: &PlaceArgs) -> Result<History, CliError> {
    let found = history::of_one(log, id)?;
    if found.rows.is_empty() {
        return Err(CliError::wrong_use(format!(
            "topic attempts has no delivery {id}: `logystera delivery list{}` shows those that it has",
            place.flags()
        )));
    }
    if found.ids.len() > 1 {
        let ids: Vec<String> = found.ids.iter().map(ToString::to_string).collect();
        return Err(CliError::wrong_use(format!("several deliveries begin like that: {}", ids.join(", "))));
    }
    Ok(found)
}
