//! The table of `docs/refusals.md`: what a sender is told, read from where a sender's author reads it.

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Status.
    pub status: u16,
    /// Code in the answer.
    pub answer: String,
    /// Code in `Refused` records.
    pub recorded: String,
}

/// All rows of the table of batches.
pub fn table() -> Vec<Row> {
    let rows = include_str!("../../../docs/refusals.md").lines().filter_map(|line| {
        let mut cells = line.split('|').skip(1).map(|cell| cell.trim().trim_matches('`').to_owned());
        let status = cells.next()?.parse().ok()?;
        Some(Row { status, answer: cells.next()?, recorded: cells.next()? })
    });
    let rows: Vec<Row> = rows.collect();
    assert!(rows.len() > 25, "the table of docs/refusals.md was not found: {rows:?}");
    rows
}

/// The status of a refusal, by the code that is recorded.
pub fn status(recorded: &str) -> u16 {
    row(recorded).status
}

/// The row of a refusal, by the code that is recorded.
pub fn row(recorded: &str) -> Row {
    let found = table().into_iter().find(|row| row.recorded == recorded);
    found.unwrap_or_else(|| panic!("docs/refusals.md has no `{recorded}`"))
}
