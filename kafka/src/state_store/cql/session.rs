//! Statements, each with its consistency and its write time.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use logystera_infra::secrets::random_bytes;
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::policies::load_balancing::DefaultPolicy;
use scylla::response::PagingState;
use scylla::serialize::SerializationError;
use scylla::serialize::row::{RowSerializationContext, SerializeRow};
use scylla::serialize::writers::RowWriter;
use scylla::statement::Consistency;
use scylla::statement::batch::{Batch as CqlBatch, BatchType};
use scylla::statement::prepared::PreparedStatement;

use super::away;
use super::batches::{Batch, RowPartition};
use super::migrations;
use crate::state_store::claim::Layout;
use crate::state_store::{Change, Claim, StateOwner, StoreConfig, StoreError};

/// How long one request may take.
const REQUEST_WAIT: Duration = Duration::from_secs(5);
/// How long connecting to a node may take.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// Rows that a page of a read has.
const PAGE_ROWS: i32 = 5_000;

/// Stands between the cluster's id and the store's incarnation in a claim: a cluster's id is letters, digits, `-` and
/// `_`. Claims of earlier versions have the id alone.
const BETWEEN: char = ' ';

/// Cell of table `positions`.
type ClaimCell = (i64, i64, i64, String, i32, i32, BTreeMap<i32, i64>);

/// A connected store, with its keyspace and tables.
#[derive(Debug)]
pub(super) struct Db {
    session: Session,
    put: PreparedStatement,
    put_own: PreparedStatement,
    delete: PreparedStatement,
    delete_own: PreparedStatement,
    wipe: PreparedStatement,
    wipe_own: PreparedStatement,
    read: PreparedStatement,
    read_own: PreparedStatement,
    claim: PreparedStatement,
    put_claim: PreparedStatement,
    drawn: PreparedStatement,
    draw: PreparedStatement,
    table: PreparedStatement,
    keyspace: String,
}

/// Finds what is an owner's.
const OWNER: &str = "app = ? AND generation = ? AND input_partition = ?";

impl Db {
    /// Connects, and creates what is not there.
    pub(super) async fn connect(config: &StoreConfig) -> Result<Self, StoreError> {
        let mut policy = DefaultPolicy::builder().token_aware(true);
        if let Some(datacenter) = &config.local_datacenter {
            policy = policy.prefer_datacenter(datacenter.clone());
        }
        let profile = ExecutionProfile::builder()
            .consistency(Consistency::LocalQuorum)
            .request_timeout(Some(REQUEST_WAIT))
            .load_balancing_policy(policy.build())
            .build();
        let mut builder = SessionBuilder::new()
            .known_nodes(&config.nodes)
            .default_execution_profile_handle(profile.into_handle())
            .connection_timeout(CONNECT_WAIT)
            .tls_context(super::tls::context(config)?);
        if let Some((user, password)) = &config.credentials {
            builder = builder.user(user, password);
        }
        let session = builder.build().await.map_err(|e| away(&e))?;
        migrations::apply(&session, config).await?;
        Self::prepare(session, config.keyspace.clone()).await
    }

    async fn prepare(session: Session, keyspace: String) -> Result<Self, StoreError> {
        let prepare = async |text: &str| -> Result<PreparedStatement, StoreError> {
            let mut statement = session.prepare(text).await.map_err(|e| away(&e))?;
            // Its write time makes a repetition the same write.
            statement.set_is_idempotent(true);
            statement.set_page_size(PAGE_ROWS);
            Ok(statement)
        };
        Ok(Self {
            put: prepare(
                "INSERT INTO state (app, key_group, state_key, version, value) VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ?",
            )
            .await?,
            put_own: prepare(
                "INSERT INTO own_state (app, generation, input_partition, state_key, version, value) \
                 VALUES (?, ?, ?, ?, ?, ?) USING TIMESTAMP ?",
            )
            .await?,
            delete: prepare(
                "DELETE FROM state USING TIMESTAMP ? WHERE app = ? AND key_group = ? AND state_key = ?",
            )
            .await?,
            delete_own: prepare(&format!("DELETE FROM own_state USING TIMESTAMP ? WHERE {OWNER} AND state_key = ?"))
                .await?,
            wipe: prepare("DELETE FROM state USING TIMESTAMP ? WHERE app = ? AND key_group = ?").await?,
            wipe_own: prepare(&format!("DELETE FROM own_state USING TIMESTAMP ? WHERE {OWNER}")).await?,
            read: prepare("SELECT state_key, version, value FROM state WHERE app = ? AND key_group = ?").await?,
            read_own: prepare(&format!("SELECT state_key, version, value FROM own_state WHERE {OWNER}")).await?,
            claim: prepare(&format!("SELECT claim FROM positions WHERE {OWNER}")).await?,
            put_claim: prepare(
                "INSERT INTO positions (app, generation, input_partition, claim) VALUES (?, ?, ?, ?) USING TIMESTAMP ?",
            )
            .await?,
            drawn: prepare("SELECT drawn FROM incarnation WHERE one = 1").await?,
            draw: prepare("INSERT INTO incarnation (one, drawn) VALUES (1, ?) IF NOT EXISTS").await?,
            table: prepare("SELECT CAST(id AS text) FROM system_schema.tables WHERE keyspace_name = ? AND table_name = 'state'")
                .await?,
            keyspace,
            session,
        })
    }

    /// Tells this store from all that were made under the keyspace's name: what was drawn for it, and the id that the
    /// database has given to the table of the rows, so that a table which was made anew and filled from a backup is
    /// another one, too.
    pub(super) async fn incarnation(&self) -> Result<String, StoreError> {
        let drawn = if let Some(drawn) = self.drawn().await? {
            drawn
        } else {
            let name = format!("{:016x}", u64::from_be_bytes(random_bytes()));
            // If several processes find none, one of their draws stays.
            self.session.execute_unpaged(&self.draw, (&name,)).await.map_err(|e| away(&e))?;
            self.drawn().await?.ok_or_else(|| away("its incarnation was drawn and is not there"))?
        };
        let found = self.session.execute_unpaged(&self.table, (&self.keyspace,)).await.map_err(|e| away(&e))?;
        let rows = found.into_rows_result().map_err(|e| away(&e))?;
        let table = rows.maybe_first_row::<(Option<String>,)>().map_err(|e| away(&e))?;
        let table = table.and_then(|(id,)| id).ok_or_else(|| away("its tables are not there"))?;
        Ok(format!("{drawn}-{table}"))
    }

    async fn drawn(&self) -> Result<Option<String>, StoreError> {
        let found = self.session.execute_unpaged(&self.drawn, ()).await.map_err(|e| away(&e))?;
        let rows = found.into_rows_result().map_err(|e| away(&e))?;
        let row = rows.maybe_first_row::<(Option<String>,)>().map_err(|e| away(&e))?;
        Ok(row.and_then(|(drawn,)| drawn))
    }

    /// Writes the rows of a batch, each at its own version.
    pub(super) async fn write(&self, owner: &StateOwner, batch: &Batch) -> Result<(), StoreError> {
        let mut statements = CqlBatch::new(BatchType::Unlogged);
        statements.set_is_idempotent(true);
        for (_, change) in &batch.rows {
            let statement = match (batch.place, &change.value) {
                (RowPartition::KeyGroup(_), Some(_)) => &self.put,
                (RowPartition::KeyGroup(_), None) => &self.delete,
                (RowPartition::Own, Some(_)) => &self.put_own,
                (RowPartition::Own, None) => &self.delete_own,
            };
            statements.append_statement(statement.clone());
        }
        let values: Vec<RowWrite<'_>> =
            batch.rows.iter().map(|(key, change)| RowWrite { owner, place: batch.place, key, change }).collect();
        self.session.batch(&statements, values).await.map(drop).map_err(|e| away(&e))
    }

    /// Deletes every row of a partition of the store that is older than `version`.
    pub(super) async fn wipe_before(
        &self,
        owner: &StateOwner,
        place: RowPartition,
        version: u64,
    ) -> Result<(), StoreError> {
        // At the same write time a deletion wins over what is to stand there.
        let Some(before) = version.checked_sub(1) else { return Ok(()) };
        let (before, own) = (before as i64, ids(owner));
        let done = match place {
            RowPartition::KeyGroup(key_group) => {
                self.session.execute_unpaged(&self.wipe, (before, own.0, i32::from(key_group))).await
            }
            RowPartition::Own => self.session.execute_unpaged(&self.wipe_own, (before, own.0, own.1, own.2)).await,
        };
        done.map(drop).map_err(|e| away(&e))
    }

    /// Gives every row of a partition of the store to `take`, in the order of the keys.
    pub(super) async fn read(
        &self,
        owner: &StateOwner,
        place: RowPartition,
        mut take: impl FnMut(Vec<u8>, Change),
    ) -> Result<(), StoreError> {
        let own = ids(owner);
        let mut from = PagingState::start();
        loop {
            let (page, next) = match place {
                RowPartition::KeyGroup(key_group) => {
                    self.session.execute_single_page(&self.read, (own.0, i32::from(key_group)), from).await
                }
                RowPartition::Own => self.session.execute_single_page(&self.read_own, own, from).await,
            }
            .map_err(|e| away(&e))?;
            let page = page.into_rows_result().map_err(|e| away(&e))?;
            for row in page.rows::<(&[u8], i64, &[u8])>().map_err(|e| away(&e))? {
                let (key, version, value) = row.map_err(|e| away(&e))?;
                take(key.to_vec(), Change { version: version as u64, value: Some(value.to_vec()) });
            }
            match next.into_paging_control_flow() {
                ControlFlow::Break(()) => return Ok(()),
                ControlFlow::Continue(state) => from = state,
            }
        }
    }

    /// What the owner's rows are known to hold.
    pub(super) async fn claim(&self, owner: &StateOwner) -> Result<Option<Claim>, StoreError> {
        let found = self.session.execute_unpaged(&self.claim, ids(owner)).await.map_err(|e| away(&e))?;
        let rows = found.into_rows_result().map_err(|e| away(&e))?;
        let cell = rows.maybe_first_row::<(Option<ClaimCell>,)>().map_err(|e| away(&e))?;
        Ok(cell.and_then(|(cell,)| cell).map(
            |(at, version, position, log, changelog_partitions, partitions, offsets)| Claim {
                committed_at_ms: at,
                version: version as u64,
                position: position as u64,
                layout: Layout {
                    log: log.split(BETWEEN).next().unwrap_or_default().to_owned(),
                    incarnation: log
                        .split_once(BETWEEN)
                        .map(|(_, incarnation)| incarnation.to_owned())
                        .unwrap_or_default(),
                    changelog_partitions: changelog_partitions as u32,
                    partitions: partitions as u32,
                },
                offsets: offsets.into_iter().map(|(place, offset)| (place as u32, offset as u64)).collect(),
            },
        ))
    }

    /// Writes a claim, at its version too.
    pub(super) async fn put_claim(&self, owner: &StateOwner, claim: &Claim) -> Result<(), StoreError> {
        let offsets = claim.offsets.iter().map(|(place, offset)| (*place as i32, *offset as i64)).collect();
        let cell: ClaimCell = (
            claim.committed_at_ms,
            claim.version as i64,
            claim.position as i64,
            format!("{}{BETWEEN}{}", claim.layout.log, claim.layout.incarnation),
            claim.layout.changelog_partitions as i32,
            claim.layout.partitions as i32,
            offsets,
        );
        let own = ids(owner);
        let done =
            self.session.execute_unpaged(&self.put_claim, (own.0, own.1, own.2, cell, claim.version as i64)).await;
        done.map(drop).map_err(|e| away(&e))
    }
}

fn ids(owner: &StateOwner) -> (&str, i32, i32) {
    (&owner.app, owner.generation as i32, owner.partition as i32)
}

/// The values of one row's statement in a batch.
struct RowWrite<'a> {
    owner: &'a StateOwner,
    place: RowPartition,
    key: &'a [u8],
    change: &'a Change,
}

impl SerializeRow for RowWrite<'_> {
    fn serialize(
        &self,
        ctx: &RowSerializationContext<'_>,
        writer: &mut RowWriter<'_>,
    ) -> Result<(), SerializationError> {
        let (app, generation, partition) = ids(self.owner);
        let (key, version) = (self.key, self.change.version as i64);
        match (self.place, self.change.value.as_deref()) {
            (RowPartition::KeyGroup(key_group), Some(value)) => {
                (app, i32::from(key_group), key, version, value, version).serialize(ctx, writer)
            }
            (RowPartition::KeyGroup(key_group), None) => {
                (version, app, i32::from(key_group), key).serialize(ctx, writer)
            }
            (RowPartition::Own, Some(value)) => {
                (app, generation, partition, key, version, value, version).serialize(ctx, writer)
            }
            (RowPartition::Own, None) => (version, app, generation, partition, key).serialize(ctx, writer),
        }
    }

    fn is_empty(&self) -> bool {
        false
    }
}
