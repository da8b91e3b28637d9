//! The newest record of each entity, whatever the order.

use std::time::Duration;

use logystera_schemas::avro::Blob;

use super::super::DirectoryWatch;
use super::*;
use crate::embedded::{Embedded, EmbeddedReader};
use crate::log::Log;
use crate::shutdown::Shutdown;

fn key(id: &str, revoked_at: Option<i64>) -> Entity {
    Entity::Key(Key {
        site: "shop".parse().unwrap(),
        key: id.parse().unwrap(),
        sealed_secret: Blob(vec![1]),
        created_at: 5,
        not_before: 10,
        not_after: Some(20),
        revoked_at,
        stolen: false,
    })
}

fn site(closed_at: Option<i64>) -> Entity {
    let (site, tenant) = ("shop".parse().unwrap(), "t1".parse().unwrap());
    Entity::Site(Site {
        site,
        tenant,
        name: "Shop".to_owned(),
        created_at: 5,
        closed_at,
        url: None,
        labels: Vec::new(),
    })
}

#[tokio::test]
async fn the_newest_record_of_an_entity_holds_whatever_the_order_of_kinds() {
    let dir = tempfile::tempdir().unwrap();
    let embedded = Embedded::open(dir.path()).unwrap();
    let log = embedded.log();
    // The key's record stands before its site's, as after the site was written anew.
    log.append(vec![entry(&key("k1", None)), entry(&key("k2", None)), entry(&site(None))]).await.unwrap();
    let watch = DirectoryWatch::load(log.clone()).unwrap();
    let mut view = watch.view();
    let before = view.current();
    assert_eq!(before.keys("shop").count(), 2);
    assert!(before.key("shop", "k1").unwrap().revoked_at.is_none() && before.key("other", "k1").is_none());
    assert!(!watch.refresh().unwrap());

    log.append(vec![entry(&key("k1", Some(12))), entry(&site(Some(13)))]).await.unwrap();
    assert!(watch.clone().refresh().unwrap());
    let after = view.changed().await;
    assert_eq!(after.key("shop", "k1").unwrap().revoked_at, Some(12));
    assert_eq!(after.site("shop").unwrap().closed_at, Some(13));
    assert_eq!(after.keys("shop").count(), 2);
    assert!(before.key("shop", "k1").unwrap().revoked_at.is_none(), "a snapshot does not change");

    assert_eq!(Directory::read_from(&EmbeddedReader::open(dir.path()).unwrap()).unwrap(), *after);
    assert_eq!(*DirectoryWatch::load(log).unwrap().view().current(), *after);
}

/// A version that wrote a body only once published A, B, A: the log's newest is B, and sites have A.
#[test]
fn what_was_published_last_is_not_guessed() {
    let set = |n: u8| {
        (Sha256Digest([n; 32]), Entity::RuleSet(RuleSet { digest: Sha256Digest([n; 32]), body: Blob(vec![n]) }))
    };
    let ((a, with_a), (b, with_b)) = (set(1), set(2));
    let rules_of = |digest| {
        Entity::SiteRules(SiteRules { site: "shop".parse().unwrap(), digest, semantics: 1, at: 5, by: "me".to_owned() })
    };
    for (entities, published, is_unsure) in [
        (vec![], None, false),
        (vec![with_a.clone()], Some(a), false),
        (vec![site(None), with_a.clone()], Some(a), false),
        (vec![with_a.clone(), with_b.clone()], Some(b), false),
        (vec![site(Some(7)), with_a.clone(), with_b.clone()], Some(b), false),
        (vec![site(None), with_a.clone(), with_b.clone()], None, true),
        (vec![site(None), with_a.clone(), with_b.clone(), rules_of(b)], Some(b), false),
        (vec![site(None), with_a.clone(), with_b, with_a, rules_of(a)], Some(a), false),
    ] {
        let mut directory = Directory::default();
        for entity in entities {
            directory.put(entity);
        }
        assert_eq!((directory.published(), directory.is_published_unsure()), (published, is_unsure));
    }
}

#[tokio::test]
async fn a_change_is_seen_without_being_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let embedded = Embedded::open(dir.path()).unwrap();
    let watch = DirectoryWatch::load(embedded.log()).unwrap();
    let (mut view, shutdown) = (watch.view(), Shutdown::new());
    let thread = watch.spawn(shutdown.clone()).unwrap();
    embedded.log().append(vec![entry(&site(None))]).await.unwrap();
    let seen = tokio::time::timeout(Duration::from_secs(5), view.changed()).await.unwrap();
    assert!(seen.site("shop").is_some());
    embedded.log().append(vec![entry(&key("k1", None))]).await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), view.reaches(2)).await.unwrap();
    assert!(view.current().key("shop", "k1").is_some() && view.current().end() == 2);
    shutdown.trigger();
    thread.join().unwrap();
}

/// What a lease's renewal copies does not grow with the number of sites.
#[test]
fn a_renewal_shares_everything_but_the_leases() {
    let mut before = Directory::default();
    (0..5).for_each(|n| before.put(key(&format!("k{n}"), None)));
    before.put(site(None));
    let mut after = before.clone();
    let (role, instance) = (ProcessRole::Gateway, "g".to_owned());
    let lease =
        Lease { role, instance, incarnation: 1, renewal: 1, left: None, released: false, at: None, ticks: true };
    after.put(Entity::Lease(lease));
    let same = |of: fn(&Directory) -> &Arc<Key>| Arc::ptr_eq(of(&before), of(&after));
    assert!(same(|directory| directory.key("shop", "k1").unwrap()));
    assert!(Arc::ptr_eq(&before.rule_sets, &after.rule_sets) && Arc::ptr_eq(&before.skips, &after.skips));
    assert_eq!((before.leases().count(), after.leases().count()), (0, 1));
}
