//! Changes that come together.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use logystera_infra::clock::SystemClock;
use logystera_infra::directory::DirectoryWatch;
use logystera_infra::embedded::{Embedded, EmbeddedLog};
use logystera_infra::log::{Entry, Log, LogError, Record};
use logystera_schemas::topic::Topic;

use logystera_infra::secrets::MasterKey;
use logystera_schemas::control::{Channel, ChannelKind};
use logystera_schemas::ids::Sha256Digest;

use super::*;
use crate::adapters::{ChannelAdapter, Later, NewChannel, TestOutcome};
use crate::deployment::Deployment;
use crate::rules::Rules;

/// No channel is asked for here.
struct NoChannels;

impl ChannelAdapter for NoChannels {
    fn settings(&self, _: ChannelKind, _: &[String]) -> Result<NewChannel, String> {
        Err("no channels".to_owned())
    }

    fn test<'a>(&'a self, _: &'a Channel, _: &'a [u8], _: i64) -> Later<'a, Result<TestOutcome, ControlError>> {
        Box::pin(async { Err(ControlError::unavailable("no channels")) })
    }
}

fn parts() -> Parts {
    Parts {
        master: MasterKey::from_hex(&"0f".repeat(32)).unwrap(),
        deployment: Deployment::new("test".to_owned()),
        clock: Arc::new(SystemClock::new()),
        channels: Arc::new(NoChannels),
        host: "here".to_owned(),
    }
}

fn rules() -> Rules {
    Rules { digest: Sha256Digest::of(b"rules"), semantics: 2, body: "rules".to_owned() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_sites_of_one_name_at_once_have_fifty_ids() {
    let dir = tempfile::tempdir().unwrap();
    let embedded = Embedded::open(dir.path()).unwrap();
    let watch = DirectoryWatch::load(embedded.log()).unwrap();
    let service = Arc::new(ControlService::of_folder(&embedded, watch.clone(), parts()).unwrap());
    service.configure(&rules(), "test").await.unwrap();

    let refused = ControlService::of_folder(&embedded, watch.clone(), parts()).err().unwrap();
    assert!(refused.message.contains("has a control service already"), "{refused}");

    let adds: Vec<_> = (0..50)
        .map(|_| {
            let service = Arc::clone(&service);
            let (name, tenant) = ("Shop".to_owned(), TENANT_DEFAULT.to_owned());
            tokio::spawn(async move { service.execute(Request::SiteAdd { name, tenant, id: None }).await })
        })
        .collect();
    let mut ids = BTreeSet::new();
    for add in adds {
        let Ok(Answer::Key(key)) = add.await.unwrap() else { unreachable!("a site was added") };
        ids.insert(key.site);
    }
    assert_eq!(ids.len(), 50, "{ids:?}");
    assert_eq!(watch.view().current().sites().count(), 50, "whoever follows knows of each");

    drop(service);
    assert!(ControlService::of_folder(&embedded, watch, parts()).is_ok(), "the seat is free again");
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
    let service = ControlService::new(log.clone(), control, parts());
    service.configure(&rules(), "test").await.unwrap();
    for _ in 0..20 {
        let (name, tenant) = ("Shop".to_owned(), TENANT_DEFAULT.to_owned());
        let before = log.bounds(Topic::Control, 0).unwrap().end;
        assert!(matches!(service.execute(Request::SiteAdd { name, tenant, id: None }).await, Ok(Answer::Key(_))));
        assert_eq!(log.1.load(Ordering::SeqCst) as u64, before, "each record was read once");
    }
}
