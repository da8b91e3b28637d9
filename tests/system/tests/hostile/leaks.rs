//! Values that must not get in, each under a name of its own, sent to the real binary by every way there is; then every
//! byte that it wrote or said is searched for them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use logystera_system::hostile::add_site;
use logystera_system::leak::{Place, Search, folder, marker};
use logystera_system::post::{Post, body, raw, signal};
use logystera_system::process::{Up, free_port, run};
use logystera_system::receiver::Receiver;
use logystera_system::wire::{self, Answer, Credentials, now_ms};

use super::plants;

/// A batch that is good.
pub(crate) fn good() -> Vec<u8> {
    let now = now_ms();
    body(now, &signal(now - 1_000, "good"))
}

/// Fires at the first failed job, so that an alert goes out.
const RULES: &str = "\
format: 1
rules:
- name: failed
  title: A job failed
  severity: info
  subsystem: cron
  signal: cron.run
  where: { outcome: failed }
  threshold: { count: 1, within: 1h }
  message: \"{count} failed\"
";

/// An installation, and everything that was heard of it.
pub(crate) struct World {
    pub(crate) data: PathBuf,
    pub(crate) port: u16,
    pub(crate) admin_port: u16,
    pub(crate) site: Credentials,
    pub(crate) search: Search,
    pub(crate) heard: Vec<u8>,
    number: u64,
}

impl World {
    pub(crate) fn hear(&mut self, answer: &Answer) -> u16 {
        self.heard.extend_from_slice(format!("{}\n{}\n", answer.head, answer.body).as_bytes());
        answer.status
    }

    pub(crate) fn plant(&mut self, name: &str) -> String {
        self.search.plant(name)
    }

    pub(crate) fn post(&mut self, body: impl Into<Vec<u8>>) -> Post {
        self.number += 1;
        Post::new(&self.site, format!("00000000000000aa.{}", self.number), body)
    }

    pub(crate) fn send(&mut self, what: &str, post: &Post, status: u16) {
        self.send_raw(what, &post.request(), status);
    }

    pub(crate) fn send_raw(&mut self, what: &str, request: &[u8], status: u16) {
        let answer = raw(self.port, request);
        assert_eq!(self.hear(&answer), status, "{what}: {answer:?}");
    }

    /// Everything that can be searched while it runs, or after.
    fn places(&self, when: &str) -> Vec<Place> {
        let mut places = folder(&self.data, &format!("data folder {when}"));
        let output = std::fs::read(self.data.with_extension("log")).expect("the output can be read");
        places.push((format!("output {when}"), output));
        if let Some(metrics) = wire::get(self.admin_port, "/metrics") {
            assert!(metrics.body.contains("logystera_gateway_batches_total"), "{metrics:?}");
            places.push((format!("metrics {when}"), metrics.body.into_bytes()));
        }
        let data = self.data.to_str().expect("UTF-8");
        for command in [
            &["site", "list", "--json"][..],
            &["channel", "list", "--json"],
            &["tail", "signals", "--from", "beginning", "--json"],
            &["tail", "detections", "--from", "beginning", "--json"],
            &["tail", "attempts", "--from", "beginning", "--json"],
        ] {
            let output = run(&[command, &["--data", data]].concat());
            assert!(output.status.success(), "{command:?}: {output:?}");
            places.push((format!("{} {when}", command.join(" ")), [output.stdout, output.stderr].concat()));
        }
        places.push((format!("answers {when}"), self.heard.clone()));
        places
    }
}

#[test]
fn a_value_that_is_not_allowed_is_found_nowhere() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // Its name is told by the output: the search must find it there.
    let data = folder.path().join(marker("the data folder's name"));
    let rules = folder.path().join("rules.yaml");
    std::fs::write(&rules, RULES).expect("a file can be written");
    let more = ["--rules", rules.to_str().expect("UTF-8"), "--allow-private-addresses", "--log", "trace", "--log-json"];
    let receiver = Receiver::start(Duration::ZERO);
    let up = Up::start(&data, free_port(), free_port(), &more);
    let site = add_site(&data, "private");
    let (port, admin_port) = (up.port, up.admin_port);
    let (search, heard) = (Search::default(), Vec::new());
    let mut world = World { data: data.clone(), port, admin_port, site, search, heard, number: 0 };

    plants::refused_signals(&mut world);
    plants::refused_bodies(&mut world);
    plants::unbelieved(&mut world);
    plants::heads(&mut world);
    plants::secrets(&mut world, &receiver);
    let now = now_ms();
    let allowed = format!(
        r#"{{"type":"http.request","at":{},"method":"GET","path":"/shop/{}","status":200,"route_group":"shop"}}"#,
        now - 1_000,
        marker("a segment of a path")
    );
    let sent = world.post(body(now, &allowed));
    world.send("what is allowed", &sent, 202);

    let mut places = world.places("while it runs");
    up.stop();
    places.extend(world.places("after it stopped"));
    let up = Up::start(&data, port, admin_port, &more);
    let sent = world.post(good());
    world.send("after a restart", &sent, 202);
    up.kill();
    places.extend(world.places("after it was killed"));
    report(&world.search, &places, &data);
}

fn report(search: &Search, places: &[Place], data: &Path) {
    let bytes: usize = places.iter().map(|(_, bytes)| bytes.len()).sum();
    println!("{} values, {} places, {bytes} bytes", search.values(), places.len());
    for (place, bytes) in places {
        println!("  {:>9}  {place}", bytes.len());
    }
    // What may be there is found, or the search would prove nothing.
    let mut allowed = Search::default();
    allowed.plant("a segment of a path");
    allowed.plant("the data folder's name");
    let found = allowed.find(places);
    println!("allowed, and found: {}", found.join("; "));
    for when in ["while it runs", "after it stopped", "after it was killed"] {
        for wanted in [
            format!("a segment of a path as itself in data folder {when}"),
            format!("a segment of a path as itself in tail signals --from beginning --json {when}"),
            format!("the data folder's name as itself in output {when}"),
        ] {
            assert!(found.iter().any(|f| f.starts_with(&wanted)), "{wanted}: not found");
        }
    }
    let found = search.find(places);
    assert!(found.is_empty(), "found in {}:\n{}", data.display(), found.join("\n"));
}
