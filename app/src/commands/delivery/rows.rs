//! Rows of the delivery history, in a table, in a sentence, and as JSON.

use logystera_alerter::history::words::{state, why};
use logystera_schemas::delivery::{Attempt, AttemptState};
use serde_json::{Value, json};

use super::one::ID_SHOWN;
use crate::cli::{CliError, Out, counted, table};
use crate::when;

pub(super) fn tell_unreadable(unreadable: u64) {
    if unreadable > 0 {
        eprintln!("{} of topic attempts cannot be read and are not shown", counted(unreadable, "record", "records"));
    }
}

/// Rows in a table, or as JSON.
pub(super) fn print_rows(out: &mut Out, rows: &[Attempt], as_json: bool) -> Result<(), CliError> {
    let head = ["DELIVERY", "TIME", "SITE", "RULE", "CHANNEL", "TRIES", "STATE"];
    let mut lines = vec![head.map(str::to_owned)];
    for row in rows {
        if as_json {
            out.json(&object(row))?;
            continue;
        }
        lines.push([
            row.delivery.to_string()[..ID_SHOWN].to_owned(),
            when::show(row.at.0),
            row.site.to_string(),
            row.rule.to_string(),
            if row.channel.is_empty() { "-".to_owned() } else { row.channel.clone() },
            row.attempt.to_string(),
            sentence(row),
        ]);
    }
    if as_json { Ok(()) } else { table(out, &lines) }
}

/// How a row stands, for people.
pub(super) fn sentence(row: &Attempt) -> String {
    let then = if row.state == AttemptState::NotSent { "at" } else { "again at" };
    let again = row.next_attempt_at.map_or(String::new(), |at| format!("; {then} {}", when::show(at.0)));
    match why(row.state, &row.reason) {
        Some(why) => format!("{}: {why}{again}", state(row.state)),
        None => format!("{}{again}", state(row.state)),
    }
}

/// The row, and what it means in words.
pub(super) fn object(row: &Attempt) -> Value {
    let mut object = json!(row);
    object["why"] = json!(why(row.state, &row.reason));
    object
}
