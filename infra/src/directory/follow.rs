//! Follows topic `control`. A record that cannot be read is passed over, and told: the topic is compacted and each
//! record is for itself, so that one must not take all others along.

use std::io;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use logystera_schemas::control::RuleSet;
use logystera_schemas::ids::Sha256Digest;
use logystera_schemas::limits::{CONTROL_REFRESH_MS, CONTROL_STALE_MS_MAX, READ_BYTES_MAX};
use logystera_schemas::topic::Topic;
use tokio::sync::watch;

use super::snapshot::Directory;
use crate::clock::{Clock, SystemClock};
use crate::embedded::EmbeddedReader;
use crate::log::{Log, LogError, Record, scan};
use crate::shutdown::Shutdown;

impl Directory {
    /// The snapshot of what `reader` has now.
    pub fn read_from(reader: &EmbeddedReader) -> Result<Self, LogError> {
        let mut directory = Self::default();
        follow(&mut directory, |from| reader.read(Topic::Control, from, READ_BYTES_MAX))?;
        Ok(directory)
    }
}

/// Takes in what stands in topic `control` after what the directory has.
fn follow(
    directory: &mut Directory,
    mut read: impl FnMut(u64) -> Result<Vec<Record>, LogError>,
) -> Result<(), LogError> {
    scan(directory.end(), &mut read, |records| {
        directory.take(&records);
        Ok(())
    })?;
    // A site can be configured with a rule set that was not the newest one any more.
    for digest in directory.lacking_rule_sets() {
        if let Some(set) = directory.rule_set(&digest, &mut read)? {
            directory.keep_rule_set(set);
        }
    }
    Ok(())
}

/// When the topic was last looked at with success.
#[derive(Debug)]
struct Look {
    clock: SystemClock,
    at_ms: AtomicI64,
}

impl Look {
    fn now() -> Arc<Self> {
        Arc::new(Self { clock: SystemClock::new(), at_ms: AtomicI64::new(0) })
    }

    fn succeeded(&self) {
        self.at_ms.store(self.clock.monotonic_ms(), Ordering::Relaxed);
    }

    fn age_ms(&self) -> i64 {
        self.clock.monotonic_ms() - self.at_ms.load(Ordering::Relaxed)
    }
}

/// The newest [`Directory`]; its clones see the same.
#[derive(Clone, Debug)]
pub struct DirectoryView {
    receiver: watch::Receiver<Arc<Directory>>,
    look: Arc<Look>,
}

impl DirectoryView {
    /// A view of a directory that does not change: for tests.
    pub fn fixed(directory: Directory) -> Self {
        Self { receiver: watch::Sender::new(Arc::new(directory)).subscribe(), look: Look::now() }
    }

    /// What is configured now.
    pub fn current(&self) -> Arc<Directory> {
        Arc::clone(&self.receiver.borrow())
    }

    /// How long ago the topic could be read last, milliseconds.
    pub fn age_ms(&self) -> i64 {
        self.look.age_ms()
    }

    /// Whether the topic could not be read for so long that a revoked key may still be taken for a live one.
    pub fn is_stale(&self) -> bool {
        self.age_ms() > CONTROL_STALE_MS_MAX
    }

    /// Resolves when something has changed since the last call, or since the view was made or cloned. Pending for good
    /// once nobody follows the topic any more.
    pub async fn changed(&mut self) -> Arc<Directory> {
        if self.receiver.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        Arc::clone(&self.receiver.borrow_and_update())
    }

    /// What is configured when this is called, read on to the topic's end.
    pub fn caught_up(&self, log: &impl Log) -> Result<Directory, LogError> {
        let mut directory = Directory::clone(&self.current());
        follow(&mut directory, |from| log.read(Topic::Control, 0, from, READ_BYTES_MAX))?;
        Ok(directory)
    }

    /// The body of a rule set, as of when this is called.
    pub fn rule_set(&self, log: &impl Log, digest: &Sha256Digest) -> Result<Option<Arc<RuleSet>>, LogError> {
        let read = |from| log.read(Topic::Control, 0, from, 1);
        match self.current().rule_set(digest, read)? {
            Some(set) => Ok(Some(set)),
            // What was seen can be behind the record that names it.
            None => self.caught_up(log)?.rule_set(digest, read),
        }
    }

    /// Resolves when everything before offset `end` of the topic is in. Pending for good once nobody follows the topic.
    pub async fn reaches(&self, end: u64) {
        if self.receiver.clone().wait_for(|directory| directory.end() >= end).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Follows topic `control`. Its clones follow it together: what one of them reads, the views of all see.
#[derive(Clone, Debug)]
pub struct DirectoryWatch<L> {
    log: L,
    /// One look at a time: of two, the slower one must not put an older snapshot in a newer one's place.
    sender: Arc<Mutex<watch::Sender<Arc<Directory>>>>,
    look: Arc<Look>,
}

impl<L: Log> DirectoryWatch<L> {
    /// Loads the topic.
    pub fn load(log: L) -> Result<Self, LogError> {
        let mut directory = Directory::default();
        follow(&mut directory, |from| log.read(Topic::Control, 0, from, READ_BYTES_MAX))?;
        tell(&directory, &Directory::default());
        let sender = Arc::new(Mutex::new(watch::Sender::new(Arc::new(directory))));
        Ok(Self { log, sender, look: Look::now() })
    }

    /// A view of what this follows.
    pub fn view(&self) -> DirectoryView {
        DirectoryView { receiver: self.lock().subscribe(), look: Arc::clone(&self.look) }
    }

    fn lock(&self) -> MutexGuard<'_, watch::Sender<Arc<Directory>>> {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what was appended since the last look. True: something was. On an error the last snapshot holds.
    pub fn refresh(&self) -> Result<bool, LogError> {
        let sender = self.lock();
        let read = |from| self.log.read(Topic::Control, 0, from, READ_BYTES_MAX);
        let before = Arc::clone(&sender.borrow());
        let records = read(before.end())?;
        self.look.succeeded();
        // Most looks find nothing: no copy for them.
        if records.is_empty() {
            return Ok(false);
        }
        let mut directory = Directory::clone(&before);
        directory.take(&records);
        follow(&mut directory, read)?;
        tell(&directory, &before);
        sender.send_replace(Arc::new(directory));
        Ok(true)
    }

    /// Looks every [`CONTROL_REFRESH_MS`], on a thread of its own, until `shutdown`.
    pub fn spawn(self, shutdown: Shutdown) -> io::Result<JoinHandle<()>> {
        let age = metrics::gauge!("logystera_control_age_seconds");
        let run = move || {
            let mut away = false;
            while !shutdown.wait_timeout(Duration::from_millis(CONTROL_REFRESH_MS)) {
                match self.refresh() {
                    Ok(_) if away => {
                        away = false;
                        tracing::info!("topic control can be read again");
                    }
                    Err(error) if !away => {
                        away = true;
                        tracing::error!(%error, "topic control cannot be read: changes of sites and keys wait");
                    }
                    Ok(_) | Err(_) => {}
                }
                // Without a recorder this does nothing.
                age.set(Duration::from_millis(self.look.age_ms().unsigned_abs()).as_secs_f64());
            }
        };
        std::thread::Builder::new().name("control".to_owned()).spawn(run)
    }
}

/// Reports the unreadable records that `before` did not have.
fn tell(now: &Directory, before: &Directory) {
    let count = now.unreadable();
    if count > 0 || before.unreadable() > 0 {
        metrics::gauge!("logystera_control_unreadable_records").set(u32::try_from(count).unwrap_or(u32::MAX));
    }
    let last = now.unreadable_last();
    if let Some((offset, cause)) = last.filter(|_| last != before.unreadable_last()) {
        tracing::error!(
            offset,
            cause,
            entities = count,
            "a record of topic control cannot be read; it is passed over, and what it is about stays as it was before"
        );
    }
}

#[cfg(test)]
mod tests {
    use logystera_schemas::control::{Entity, Key, Tenant};

    use super::*;
    use crate::directory::entry;
    use crate::embedded::Embedded;
    use crate::log::Entry;

    fn key(revoked_at: Option<i64>) -> Entity {
        Entity::Key(Key {
            site: "shop".parse().unwrap(),
            key: "k1".parse().unwrap(),
            sealed_secret: logystera_schemas::avro::Blob(vec![1]),
            created_at: 5,
            not_before: 10,
            not_after: None,
            revoked_at,
            stolen: false,
        })
    }

    fn tenant(name: &str) -> Entity {
        Entity::Tenant(Tenant { tenant: "t1".parse().unwrap(), name: name.to_owned(), created_at: 5 })
    }

    fn raw(key: &str, value: &[u8]) -> Entry {
        Entry { key: key.as_bytes().to_vec(), value: value.to_vec(), ..entry(&tenant("")) }
    }

    #[tokio::test]
    async fn a_record_that_cannot_be_read_is_passed_over_and_counted() {
        let dir = tempfile::tempdir().unwrap();
        let embedded = Embedded::open(dir.path()).unwrap();
        let log = embedded.log();
        log.append(vec![entry(&key(Some(12))), raw("junk", b"\xc3\x01junk")]).await.unwrap();
        let watch = DirectoryWatch::load(log.clone()).unwrap();
        assert_eq!(watch.view().current().unreadable(), 1);
        log.append(vec![raw("key/shop/k1", b"")]).await.unwrap();
        assert!(watch.refresh().unwrap());
        let first = watch.view().current();
        assert_eq!((first.unreadable(), first.end()), (2, 3));
        assert_eq!(first.key("shop", "k1").unwrap().revoked_at, Some(12), "the last good record holds");

        // It goes on behind them; and a good record of the same entity mends it, as does the broker's own deletion.
        log.append(vec![entry(&tenant("T"))]).await.unwrap();
        assert!(watch.refresh().unwrap());
        log.append(vec![raw("tenant/t1", b"x"), entry(&key(Some(13)))]).await.unwrap();
        assert!(watch.refresh().unwrap());
        let then = watch.view().current();
        assert_eq!((then.unreadable(), then.key("shop", "k1").unwrap().revoked_at), (2, Some(13)));
        assert_eq!(then.tenant("t1").unwrap().name, "T");
        log.append(vec![raw("junk", b""), entry(&tenant("T"))]).await.unwrap();
        assert!(watch.refresh().unwrap());
        assert_eq!(watch.view().current().unreadable(), 0);
        assert_eq!(first.unreadable(), 2, "a snapshot does not change");
    }
}
