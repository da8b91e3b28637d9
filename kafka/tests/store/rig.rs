//! A Kafka and a store for one test, with topics, an application and a clock of its own.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use logystera_infra::clock::ManualClock;
use logystera_infra::log::{Commit, Task};
use logystera_infra::secrets::random_bytes;
use logystera_infra::telemetry::{LogFormat, Metrics, init_logs};
use logystera_kafka::state_store::{Store, StoreConfig};
use logystera_kafka::{Kafka, KafkaConfig, KafkaTask};
use logystera_schemas::topic::Topic;
use logystera_system::services::{self, Server};
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::serialize::row::SerializeRow;
use tokio::runtime::Runtime;

/// Far more than writing what waits should take.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// State as a test expects it, or finds it.
pub(crate) type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// One test at a time: they count what the process did, and one of them stops the server.
static ALONE: Mutex<()> = Mutex::new(());
static METRICS: LazyLock<Metrics> = LazyLock::new(|| {
    init_logs(LogFormat::Text, "warn,scylla=error,rdkafka=off,logystera_infra=error,logystera_kafka=error").unwrap();
    Metrics::install().unwrap()
});
/// A keyspace for all of them, since creating one takes a while.
static KEYSPACE: LazyLock<String> = LazyLock::new(|| format!("test_{:08x}", u32::from_be_bytes(random_bytes())));

/// How many rows a timing report takes, where it is said.
#[expect(clippy::disallowed_methods, reason = "whoever wants larger figures says so")]
pub(crate) fn rows() -> Vec<usize> {
    let rows = std::env::var("LOGYSTERA_TEST_STORE_ROWS").unwrap_or_else(|_| "20000".to_owned());
    rows.split(',').map(|rows| rows.parse().unwrap()).collect()
}

pub(crate) struct Rig {
    pub(crate) kafka: KafkaConfig,
    pub(crate) store: StoreConfig,
    pub(crate) clock: ManualClock,
    _alone: MutexGuard<'static, ()>,
}

impl Rig {
    /// None where no servers are named.
    pub(crate) fn new(app: &str) -> Option<Self> {
        let (brokers, node) = (services::kafka()?, services::cql()?);
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        LazyLock::force(&METRICS);
        let mut rig = Self {
            kafka: KafkaConfig::new(&brokers),
            store: StoreConfig { keyspace: KEYSPACE.clone(), replication: 1, ..StoreConfig::new([node]) },
            clock: ManualClock::at(1_767_225_600_000),
            _alone: alone,
        };
        rig.fresh(&[app]);
        Some(rig)
    }

    /// Topics of its own, so that nothing of another test is there.
    pub(crate) fn fresh(&mut self, apps: &[&str]) {
        self.kafka = KafkaConfig {
            prefix: format!("test-{:08x}-", u32::from_be_bytes(random_bytes())),
            signals_partitions: 2,
            detections_partitions: 2,
            changelog_partitions: 4,
            ..self.kafka.clone()
        };
        Kafka::new(self.kafka.clone()).create_topics(apps).unwrap();
    }

    /// A store as a process of its own would have it.
    pub(crate) fn store(&self) -> Store {
        self.store_with(&self.clock)
    }

    /// The same, by a clock of its own.
    pub(crate) fn store_with(&self, clock: &ManualClock) -> Store {
        Store::open(self.store.clone(), Arc::new(clock.clone())).unwrap()
    }

    /// Takes partition 0 of `signals` over. Without a store: from the changelog alone.
    pub(crate) fn task(&self, app: &str, store: Option<&Store>) -> KafkaTask {
        let kafka = Kafka::new(self.kafka.clone());
        let kafka = match store {
            Some(store) => {
                assert!(store.is_connected(PATIENCE));
                kafka.with_store(store.clone())
            }
            None => kafka,
        };
        kafka.task(app, Topic::Signals, 0).unwrap()
    }

    /// Stops the store's server until what this gives is dropped. None where the script that started it is not known.
    pub(crate) fn pause() -> Option<Paused> {
        let server = services::cql_server()?;
        server.pause();
        Some(Paused { server })
    }

    /// Name of the application in the store.
    pub(crate) fn app(&self, app: &str) -> String {
        format!("{}{app}", self.kafka.prefix)
    }

    pub(crate) fn cql(&self) -> Cql {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let session = SessionBuilder::new().known_nodes(&self.store.nodes).use_keyspace(&self.store.keyspace, false);
        Cql { session: runtime.block_on(session.build()).unwrap(), runtime }
    }
}

/// A server that takes connections and answers nothing.
pub(crate) struct Paused {
    server: Server,
}

impl Drop for Paused {
    fn drop(&mut self) {
        self.server.go_on();
    }
}

/// A claim as table `positions` has it.
type Cell = (i64, i64, i64, String, i32, i32, BTreeMap<i32, i64>);

/// Whoever looks at the tables, or changes them, behind our back.
pub(crate) struct Cql {
    session: Session,
    runtime: Runtime,
}

impl Cql {
    pub(crate) fn run(&self, statement: &str, values: impl SerializeRow) {
        self.runtime.block_on(self.session.query_unpaged(statement, values)).unwrap();
    }

    /// Rows of table `state` of one key group: value and version by key.
    pub(crate) fn rows(&self, app: &str, key_group: u16) -> BTreeMap<Vec<u8>, (Vec<u8>, i64)> {
        let statement = "SELECT state_key, value, version FROM state WHERE app = ? AND key_group = ?";
        let found = self.runtime.block_on(self.session.query_unpaged(statement, (app, i32::from(key_group)))).unwrap();
        let rows = found.into_rows_result().unwrap();
        let rows = rows.rows::<(Vec<u8>, Vec<u8>, i64)>().unwrap();
        rows.map(|row| row.unwrap()).map(|(key, value, version)| (key, (value, version))).collect()
    }

    /// Version and position that the store's claim names, for partition 0.
    pub(crate) fn claim(&self, app: &str) -> Option<(i64, i64)> {
        let statement = "SELECT claim FROM positions WHERE app = ? AND generation = 0 AND input_partition = 0";
        let found = self.runtime.block_on(self.session.query_unpaged(statement, (app,))).unwrap();
        let cell = found.into_rows_result().unwrap().maybe_first_row::<(Cell,)>().unwrap();
        cell.map(|(cell,)| (cell.1, cell.2))
    }

    pub(crate) fn empty(&self) {
        for table in ["state", "own_state", "positions"] {
            self.run(&format!("TRUNCATE {table}"), ());
        }
    }
}

/// A state key of a key group.
pub(crate) fn key(key_group: u16, name: &str) -> Vec<u8> {
    [&key_group.to_be_bytes(), name.as_bytes()].concat()
}

pub(crate) fn put(key_group: u16, name: &str, value: &str) -> (Vec<u8>, Option<Vec<u8>>) {
    (key(key_group, name), Some(value.into()))
}

pub(crate) fn delete(key_group: u16, name: &str) -> (Vec<u8>, Option<Vec<u8>>) {
    (key(key_group, name), None)
}

pub(crate) fn commit(task: &mut KafkaTask, position: u64, puts: Vec<(Vec<u8>, Option<Vec<u8>>)>) {
    task.commit(Commit { outputs: Vec::new(), puts, position, sealed: false }).unwrap();
}

/// Until the store has everything.
pub(crate) fn stored(task: &KafkaTask) {
    assert!(task.wait_until_stored(PATIENCE), "the store has what was committed");
}

pub(crate) fn state(task: &mut KafkaTask) -> Model {
    let mut state = Model::new();
    task.restore(&mut |key, value| drop(state.insert(key.to_vec(), value.to_vec()))).unwrap();
    state
}

pub(crate) fn model(entries: &[(u16, &str, &str)]) -> Model {
    entries.iter().map(|(key_group, name, value)| (key(*key_group, name), value.as_bytes().to_vec())).collect()
}

/// A metric's value as a whole number, with its labels as they are rendered.
pub(crate) fn metric(name: &str, labels: &str) -> u64 {
    let text = METRICS.render();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}{{{labels}}} ")));
    line.map_or(0, |value| value.parse::<f64>().unwrap() as u64)
}

/// How many entries were restored from the store and from the changelog.
pub(crate) fn restored(app: &str) -> (u64, u64) {
    let from = |from| metric("logystera_restored_entries_total", &format!("app=\"{app}\",from=\"{from}\""));
    (from("store"), from("changelog"))
}
