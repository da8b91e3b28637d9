//! Changes that come together.

use std::collections::BTreeSet;
use std::sync::Arc;

use logystera_infra::control::{DirectoryWatch, master_key};
use logystera_infra::embedded::Embedded;

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
    let office = Office::of_folder(&embedded, master.clone(), deployment.clone()).unwrap().serving(watch.clone());
    let office = Arc::new(office);
    office.configure(&rules_or_default(None).unwrap(), "test").await.unwrap();

    let refused = Office::of_folder(&embedded, master.clone(), deployment.clone()).err().unwrap();
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
    assert!(Office::of_folder(&embedded, master, deployment).is_ok(), "the seat is free again");
}
