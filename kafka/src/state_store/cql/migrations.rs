//! Brings the keyspace's tables to what this binary knows.

use std::collections::BTreeSet;

use scylla::client::session::Session;

use super::away;
use crate::state_store::{StoreConfig, StoreError, is_keyspace};

/// Every migration, in order. What one says is never changed: another is added.
const MIGRATIONS: [(&str, &str); 2] = [
    ("0001_state", include_str!("../../../cql/0001_state.cql")),
    ("0002_incarnation", include_str!("../../../cql/0002_incarnation.cql")),
];

/// Records what was applied. Each statement may be given twice, so that processes that start at once do no harm.
const RECORD: &str = "CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY, applied_at timestamp)";

/// The statements of a migration.
fn statements(text: &str) -> Vec<String> {
    let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
    code.join("\n").split(';').map(|s| s.trim().to_owned()).filter(|s| !s.is_empty()).collect()
}

/// How a keyspace is created. Its rows are in one data centre, or in all alike.
fn keyspace(config: &StoreConfig) -> String {
    let of = config.local_datacenter.as_deref().unwrap_or("replication_factor").replace('\'', "''");
    format!(
        "CREATE KEYSPACE IF NOT EXISTS {} WITH replication = {{'class': 'NetworkTopologyStrategy', '{of}': {}}}",
        config.keyspace, config.replication
    )
}

/// Creates the keyspace and the tables that are not there.
pub(super) async fn apply(session: &Session, config: &StoreConfig) -> Result<(), StoreError> {
    if !is_keyspace(&config.keyspace) {
        return Err(StoreError::Unusable(format!("{:?} is no name of a keyspace", config.keyspace)));
    }
    let there = "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?";
    let found = session.query_unpaged(there, (&config.keyspace,)).await.map_err(|e| away(&e))?;
    if found.into_rows_result().map_err(|e| away(&e))?.rows_num() == 0 {
        run(session, &keyspace(config)).await?;
    }
    session.use_keyspace(&config.keyspace, false).await.map_err(|e| away(&e))?;
    run(session, RECORD).await?;
    let applied = applied(session).await?;
    if let Some(newer) = applied.iter().find(|name| MIGRATIONS.iter().all(|(known, _)| known != *name)) {
        return Err(StoreError::Unusable(format!(
            "keyspace {} has migration {newer}, which this version does not know",
            config.keyspace
        )));
    }
    for (name, text) in MIGRATIONS.iter().filter(|(name, _)| !applied.contains(*name)) {
        for statement in statements(text) {
            run(session, &statement).await?;
        }
        let record = "INSERT INTO migrations (name, applied_at) VALUES (?, toTimestamp(now()))";
        session.query_unpaged(record, (name,)).await.map_err(|e| away(&e))?;
        tracing::info!(keyspace = config.keyspace, migration = name, "applied");
    }
    Ok(())
}

async fn run(session: &Session, statement: &str) -> Result<(), StoreError> {
    session.query_unpaged(statement, ()).await.map(drop).map_err(|e| away(&e))
}

async fn applied(session: &Session) -> Result<BTreeSet<String>, StoreError> {
    let found = session.query_unpaged("SELECT name FROM migrations", ()).await.map_err(|e| away(&e))?;
    let rows = found.into_rows_result().map_err(|e| away(&e))?;
    let names = rows.rows::<(String,)>().map_err(|e| away(&e))?;
    names.map(|row| row.map(|(name,)| name).map_err(|e| away(&e))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_numbered_and_whole_statements() {
        for (place, (name, text)) in MIGRATIONS.iter().enumerate() {
            assert!(name.starts_with(&format!("{:04}_", place + 1)), "{name}");
            let statements = statements(text);
            assert!(!statements.is_empty() && text.trim_end().ends_with(';'), "{name}");
            for statement in statements {
                assert!(statement.starts_with("CREATE TABLE IF NOT EXISTS "), "may be given twice: {statement}");
            }
        }
    }

    #[test]
    fn a_keyspace_is_in_the_data_centre_that_is_named() {
        let config = StoreConfig { replication: 2, ..StoreConfig::new(["a:1"]) };
        assert!(keyspace(&config).ends_with("{'class': 'NetworkTopologyStrategy', 'replication_factor': 2}"));
        let config = StoreConfig { local_datacenter: Some("eu'1".to_owned()), ..config };
        assert!(keyspace(&config).ends_with("{'class': 'NetworkTopologyStrategy', 'eu''1': 2}"));
    }
}
