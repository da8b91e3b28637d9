//! Changes that come together.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use logystera_infra::clock::SystemClock;
use logystera_infra::directory::DirectoryWatch;
use logystera_infra::embedded::{Embedded, EmbeddedLog};
use logystera_infra::envelope::master_key;
use logystera_infra::log::{Entry, Log, LogError, Record};
use logystera_schemas::topic::Topic;

use super::{Answer, Office, Request, TENANT_DEFAULT};
use crate::deployment::Deployment;
use crate::up::rules_or_default;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_sites_of_one_name_at_once_have_fifty_ids() {
    let dir = tempfile::tempdir().unwrap();
    let embedded = Embedded::open(dir.path()).unwrap();
    let watch = DirectoryWatch::load(embedded.log()).unwrap();
    let directory = watch.view().current();
    let deployment = Deployment::of(dir.path(), &directory, None).unwrap();
    let master = master_key(dir.path(), &directory).unwrap();
    let office = Office::of_folder(&embedded, watch.clone(), master.clone(), deployment.clone()).unwrap();
    let office = Arc::new(office);
    office.configure(&rules_or_default(None).unwrap(), "test").await.unwrap();

    let refused = Office::of_folder(&embedded, watch.clone(), master.clone(), deployment.clone()).err().unwrap();
    assert!(refused.message.contains("has an office already"), "{refused}");

    let adds: Vec<_> = (0..50)
        .map(|_| {
            let office = Arc::clone(&office);
            let (name, tenant) = ("Shop".to_owned(), TENANT_DEFAULT.to_owned());
            tokio::spawn(async move { office.execute(Request::SiteAdd { name, tenant, id: None }).await })
        })
        .collect();
    let mut ids = BTreeSet::new();
    for add in adds {
        let Ok(Answer::Key(key)) = add.await.unwrap() else { unreachable!("a site was added") };
        ids.insert(key.site);
    }
    assert_eq!(ids.len(), 50, "{ids:?}");
    assert_eq!(watch.view().current().sites().count(), 50, "whoever follows knows of each");

    drop(office);
    assert!(Office::of_folder(&embedded, watch, master, deployment).is_ok(), "the seat is free again");
}

/// Counts the records that are read of a log.
#[derive(Clone)]
struct Counting(EmbeddedLog, Arc<AtomicUsize>);

impl Log for Counting {
    fn partitions(&self, topic: Topic) -> u32 {
        self.0.partitions(topic)
    }

    async fn append(&self, entries: Vec<Entry>) -> Result<(), LogError> {
        self.0.append(entries).await
    }

    fn bounds(&self, topic: Topic, partition: u32) -> Result<Range<u64>, LogError> {
        self.0.bounds(topic, partition)
    }

    fn read(&self, topic: Topic, partition: u32, from: u64, bytes_max: usize) -> Result<Vec<Record>, LogError> {
        let records = self.0.read(topic, partition, from, bytes_max)?;
        self.1.fetch_add(records.len(), Ordering::SeqCst);
        Ok(records)
    }
}

/// Topic `control` has a record for each key that there ever was: to read it from its beginning for each question takes minutes where
/// there are many.
#[tokio::test]
async fn a_change_reads_what_is_new_and_not_the_whole_of_what_is_configured() {
    let dir = tempfile::tempdir().unwrap();
    let embedded = Embedded::open(dir.path()).unwrap();
    let log = Counting(embedded.log(), Arc::default());
    let control = DirectoryWatch::load(log.clone()).unwrap();
    let directory = control.view().current();
    let deployment = Deployment::of(dir.path(), &directory, None).unwrap();
    let master = master_key(dir.path(), &directory).unwrap();
    let office = Office::new(log.clone(), control, master, deployment, Arc::new(SystemClock::new()));
    office.configure(&rules_or_default(None).unwrap(), "test").await.unwrap();
    log.1.store(0, Ordering::SeqCst);
    for _ in 0..20 {
        let before = log.bounds(Topic::Control, 0).unwrap().end;
        let (name, tenant) = ("Shop".to_owned(), TENANT_DEFAULT.to_owned());
        assert!(matches!(office.execute(Request::SiteAdd { name, tenant, id: None }).await, Ok(Answer::Key(_))));
        let new = log.bounds(Topic::Control, 0).unwrap().end - before;
        assert_eq!(log.1.swap(0, Ordering::SeqCst) as u64, new);
    }
}
