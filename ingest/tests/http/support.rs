//! One gateway on loopback, a log in memory that can be away or slow, and a client that sends bytes exactly as it is told.

use std::future::Future;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use logystera_infra::clock::ManualClock;
use logystera_infra::log::{Entry, Log, LogError, Record};
use logystera_infra::shutdown::Shutdown;
use logystera_ingest::tls::Tls;
use logystera_ingest::{Gateway, GatewayConfig, KeyEntry, MemoryKeys, SiteEntry};
use logystera_schemas::ids::Sha256Digest;
use logystera_schemas::signature::{Secret, Signed};
use logystera_schemas::topic::{SignalsRecord, Topic};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The gateway's clock: 2026-01-01 00:00:00 UTC.
pub(crate) const NOW: i64 = 1_767_225_600_000;
/// A test that waits this long for an answer has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// How the log behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Takes,
    Away,
    /// Answers nothing until its mood changes.
    Hangs,
    /// Answers nothing for this partition until its mood changes.
    HangsAt(u32),
}

/// A log in memory.
#[derive(Clone)]
pub(crate) struct FakeLog {
    partitions: u32,
    entries: Arc<Mutex<Vec<Entry>>>,
    mood: watch::Sender<Mood>,
}

impl FakeLog {
    pub(crate) fn new(partitions: u32) -> Self {
        Self { partitions, entries: Arc::default(), mood: watch::Sender::new(Mood::Takes) }
    }

    pub(crate) fn set(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.entries.lock().unwrap().clone()
    }

    /// Waits until so many appends hang.
    pub(crate) async fn waiting(&self, appends: usize) {
        while self.mood.receiver_count() < appends {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Every batch: its id and how many signals it has.
    pub(crate) fn batches(&self) -> Vec<(String, usize)> {
        let entries = self.entries();
        let batch = |e: &Entry| match SignalsRecord::decode(&e.value).unwrap() {
            SignalsRecord::Batch(b) => Some((format!("{}.{}", b.head.spool, b.head.seq), b.signals().count())),
            _ => None,
        };
        entries.iter().filter_map(batch).collect()
    }

    /// Every `Refused` record, as `site spool reason count authenticated`.
    pub(crate) fn refused(&self) -> Vec<String> {
        let entries = self.entries();
        let refused = |e: &Entry| match SignalsRecord::decode(&e.value).unwrap() {
            SignalsRecord::Refused(r) => {
                let spool = r.spool.map_or("-".to_owned(), |s| s.to_string());
                Some(format!("{} {spool} {} {} {}", r.site, r.reason, r.count, r.authenticated))
            }
            _ => None,
        };
        entries.iter().filter_map(refused).collect()
    }
}

impl Log for FakeLog {
    fn partitions(&self, _topic: Topic) -> u32 {
        self.partitions
    }

    async fn append(&self, entries: Vec<Entry>) -> Result<(), LogError> {
        let mut mood = self.mood.subscribe();
        let hangs = |mood: &Mood| match mood {
            Mood::Hangs => true,
            Mood::HangsAt(partition) => entries.iter().any(|entry| entry.partition == *partition),
            Mood::Takes | Mood::Away => false,
        };
        let mood = *mood.wait_for(|mood| !hangs(mood)).await.unwrap();
        if mood == Mood::Away {
            return Err(LogError::Away("the disk is full".into()));
        }
        self.entries.lock().unwrap().extend(entries);
        Ok(())
    }

    fn bounds(&self, _: Topic, _: u32) -> Result<Range<u64>, LogError> {
        Ok(0..self.entries().len() as u64)
    }

    fn read(&self, _: Topic, _: u32, _: u64, _: usize) -> Result<Vec<Record>, LogError> {
        Err(LogError::Unusable("the gateway does not read".into()))
    }
}

/// A gateway that serves, with its surroundings.
pub(crate) struct World {
    pub(crate) gateway: Gateway<FakeLog>,
    pub(crate) log: FakeLog,
    pub(crate) keys: Arc<MemoryKeys>,
    pub(crate) clock: ManualClock,
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: Shutdown,
    pub(crate) serving: JoinHandle<()>,
}

/// A configuration whose waits suit a test.
pub(crate) fn config() -> GatewayConfig {
    let mut config = GatewayConfig::new("eu-prod");
    config.timing.header_read = Duration::from_millis(400);
    config.timing.body_read = Duration::from_millis(400);
    config.timing.append = Duration::from_millis(400);
    config.timing.shutdown = Duration::from_secs(5);
    config
}

pub(crate) fn secret(fill: u8) -> Secret {
    Secret::new([fill; 32])
}

impl World {
    /// Sites `site_7qd` (key `k2`) and `other` (key `k1`) of two tenants, and the bounds of [`config`].
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}, None).await
    }

    pub(crate) async fn of_partitions(partitions: u32) -> Self {
        Self::serve(config(), partitions, None).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut GatewayConfig), tls: Option<Tls>) -> Self {
        let mut config = config();
        change(&mut config);
        Self::serve(config, 1, tls).await
    }

    async fn serve(config: GatewayConfig, partitions: u32, tls: Option<Tls>) -> Self {
        let keys = Arc::new(MemoryKeys::new());
        for (site, tenant, key, fill) in [("site_7qd", "acme", "k2", 7), ("other", "rival", "k1", 9)] {
            let (site, tenant) = (site.parse().unwrap(), tenant.parse().unwrap());
            keys.put_site(&site, SiteEntry { tenant, closed: false });
            keys.put_key(&site, &key.parse().unwrap(), live_key(fill));
        }
        let clock = ManualClock::at(NOW);
        let log = FakeLog::new(partitions);
        let gateway = Gateway::new(config, log.clone(), keys.clone(), Arc::new(clock.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = Shutdown::new();
        let (serves, stops) = (gateway.clone(), shutdown.clone());
        let serving = tokio::spawn(async move { serves.serve(listener, tls, stops.wait()).await });
        Self { gateway, log, keys, clock, address, shutdown, serving }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes as they are and reads one answer.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> Answer {
        let mut stream = self.connect().await;
        // The gateway may have answered and closed before it has read everything.
        let _ = stream.write_all(bytes).await;
        read_answer(&mut stream).await
    }

    pub(crate) async fn send(&self, post: &Post) -> Answer {
        self.raw(&post.request()).await
    }

    /// The gateway still takes a batch of a good sender.
    pub(crate) async fn still_serves(&self) {
        let before = self.log.batches().len();
        let post = Post { batch: format!("00000000000000{:02x}.{}", before % 8, before + 1_000), ..Post::default() };
        let answer = self.send(&post).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        assert_eq!(self.log.batches().len(), before + 1);
    }
}

pub(crate) fn live_key(fill: u8) -> KeyEntry {
    let tenant = if fill == 9 { "rival" } else { "acme" };
    KeyEntry {
        tenant: tenant.parse().unwrap(),
        secret: secret(fill),
        not_before: 0,
        not_after: None,
        revoked: false,
        stolen: false,
    }
}

/// An answer, as much of it as came.
#[derive(Debug)]
pub(crate) struct Answer {
    /// 0: the connection ended without one.
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn code(&self) -> String {
        let json: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        json["code"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// Status and body, for a snapshot.
    pub(crate) fn text(&self) -> String {
        format!("{} {}", self.status, self.body)
    }
}

/// Does not wait for ever.
pub(crate) async fn patiently<R>(wait: impl Future<Output = R>) -> R {
    tokio::time::timeout(PATIENCE, wait).await.expect("nothing came")
}

/// Reads one answer, or what there is of it when the connection ends.
pub(crate) async fn read_answer(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    patiently(async {
        loop {
            if let Some(answer) = parse_answer(&bytes) {
                return answer;
            }
            let mut piece = [0; 4096];
            match stream.read(&mut piece).await {
                Ok(n) if n > 0 => bytes.extend_from_slice(&piece[..n]),
                Ok(_) | Err(_) => return Answer { status: 0, head: String::new(), body: String::new() },
            }
        }
    })
    .await
}

fn parse_answer(bytes: &[u8]) -> Option<Answer> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    if head.starts_with("HTTP/1.1 100") {
        return parse_answer(body.as_bytes());
    }
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    let body = body.get(..length)?.to_owned();
    Some(Answer { status, head: head.to_owned(), body })
}

/// A batch to send; what is not said is good.
#[derive(Clone)]
pub(crate) struct Post {
    pub(crate) site: &'static str,
    pub(crate) key: &'static str,
    pub(crate) secret: u8,
    pub(crate) audience: &'static str,
    pub(crate) ts: i64,
    pub(crate) batch: String,
    pub(crate) content_type: &'static str,
    pub(crate) encoding: Option<&'static str>,
    pub(crate) body: Vec<u8>,
}

pub(crate) const GOOD_SIGNAL: &str =
    r#"{"type":"cron.run","at":1767225599000,"job":"wp_version_check","outcome":"ok"}"#;

pub(crate) fn body(signals: &str) -> Vec<u8> {
    let integration = r#"{"platform":"other","version":"1.0.0","enabled":["cron.run"]}"#;
    format!(r#"{{"through":1767225600000,"integration":{integration},"signals":[{signals}]}}"#).into_bytes()
}

impl Default for Post {
    fn default() -> Self {
        Self {
            site: "site_7qd",
            key: "k2",
            secret: 7,
            audience: "eu-prod",
            ts: NOW / 1_000,
            batch: "9f86d081884c7d65.1".into(),
            content_type: "application/json",
            encoding: None,
            body: body(GOOD_SIGNAL),
        }
    }
}

impl Post {
    pub(crate) fn of(body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..Self::default() }
    }

    pub(crate) fn seq(seq: u64) -> Self {
        Self { batch: format!("9f86d081884c7d65.{seq}"), ..Self::default() }
    }

    /// Value of the signature header.
    pub(crate) fn signature(&self) -> String {
        let signed = Signed {
            audience: self.audience,
            site: &self.site.parse().unwrap(),
            key: &self.key.parse().unwrap(),
            ts: self.ts,
            batch: self.batch.parse().unwrap(),
            content_type: self.content_type.as_bytes(),
            content_encoding: self.encoding.unwrap_or("identity").as_bytes(),
            body_digest: Sha256Digest::of(&self.body),
        };
        signed.sign(&secret(self.secret))
    }

    /// The headers, without the blank line.
    pub(crate) fn head(&self) -> String {
        let encoding = self.encoding.map(|e| format!("Content-Encoding: {e}\r\n")).unwrap_or_default();
        format!(
            "POST /v1/batches HTTP/1.1\r\nHost: x\r\nContent-Type: {}\r\n{encoding}Content-Length: {}\r\nLogystera-Signature: {}\r\n",
            self.content_type,
            self.body.len(),
            self.signature()
        )
    }

    /// The whole request.
    pub(crate) fn request(&self) -> Vec<u8> {
        [self.head().as_bytes(), b"\r\n", &self.body].concat()
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;

    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
