//! A running gateway that is thrown things at: each gets the documented answer, and a good sender is served after it.

use std::fmt::Write;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::post::{Post, body, code, raw, signal};
use crate::process::json;
use crate::refusals;
use crate::wire::{Answer, Credentials, now_ms};

/// What must come back.
#[derive(Clone, Copy, Debug)]
pub enum Expected {
    /// The refusal that the table records under this code.
    Refused(&'static str),
    /// A status with an empty body, from the HTTP library: what is not HTTP never gets as far as the table.
    NotHttp(u16),
    /// 202.
    Taken,
    /// 200 `duplicate`.
    Duplicate,
    /// No answer: the connection ends.
    Ended,
}

impl Expected {
    fn answer(self) -> (u16, String) {
        match self {
            Self::Refused(recorded) => {
                let row = refusals::row(recorded);
                (row.status, row.answer)
            }
            Self::NotHttp(status) => (status, String::new()),
            Self::Taken => (202, String::new()),
            Self::Duplicate => (200, "duplicate".to_owned()),
            Self::Ended => (0, String::new()),
        }
    }
}

/// The ports and credentials of a running `up`, and what was seen so far.
pub struct Target {
    /// Where batches go.
    pub port: u16,
    /// A site whose batches are hostile.
    pub site: Credentials,
    /// The good sender, of another tenant.
    pub good: Credentials,
    numbers: AtomicU64,
    rows: Mutex<Vec<(String, String, String, bool)>>,
    codes: Mutex<Vec<&'static str>>,
}

/// Adds a site to the installation in `data`.
pub fn add_site(data: &Path, name: &str) -> Credentials {
    let data = data.to_str().expect("a path of UTF-8");
    Credentials::from_json(&json(&["site", "add", name, "--tenant", name, "--json", "--data", data])[0])
}

impl Target {
    /// With the two sites.
    pub fn new(port: u16, site: Credentials, good: Credentials) -> Self {
        Self { port, site, good, numbers: AtomicU64::new(1), rows: Mutex::default(), codes: Mutex::default() }
    }

    /// A number that was not there before.
    pub fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::SeqCst)
    }

    /// A good batch of the site with this body.
    pub fn post(&self, body: impl Into<Vec<u8>>) -> Post {
        Post::new(&self.site, format!("00000000000000aa.{}", self.number()), body)
    }

    /// A good batch of the site with one signal.
    pub fn good_post(&self) -> Post {
        let now = now_ms();
        self.post(body(now, &signal(now - 1_000, "wp_version_check")))
    }

    /// Sends the bytes and holds the answer against what is expected.
    pub fn check(&self, input: &str, request: &[u8], expected: Expected) -> Answer {
        let answer = raw(self.port, request);
        self.note(input, expected, &answer);
        answer
    }

    /// Holds an answer against what is expected, then has a good batch accepted.
    pub fn note(&self, input: &str, expected: Expected, answer: &Answer) {
        let (wanted, seen) = (expected.answer(), (answer.status, code(answer)));
        let mut right = wanted == seen;
        if matches!(expected, Expected::NotHttp(_) | Expected::Ended) {
            right &= answer.body.is_empty();
        } else {
            right &= answer.body.contains("\"server_time\":");
        }
        if let Expected::Refused(recorded) = expected {
            self.codes.lock().expect("no thread panics with it").push(recorded);
            right &= matches!(wanted.0, 429 | 503) == answer.head.contains("retry-after: ");
        }
        let text = |(status, code): (u16, String)| match status {
            0 => "no answer".to_owned(),
            _ => format!("{status} {code}").trim_end().to_owned(),
        };
        let after = self.serve_the_good().status;
        let seen = if after == 202 { text(seen) } else { format!("{}, then {after} for a good batch", text(seen)) };
        let row = (input.to_owned(), text(wanted), seen, right && after == 202);
        self.rows.lock().expect("no thread panics with it").push(row);
    }

    /// Sends a good sender's next batch.
    pub fn serve_the_good(&self) -> Answer {
        let now = now_ms();
        let batch = format!("00000000000000bb.{}", self.number());
        Post::new(&self.good, batch, body(now, &signal(now - 1_000, "good"))).send(self.port)
    }

    /// The table, and the rows that are not as they should be.
    pub fn report(&self) -> (String, Vec<String>) {
        let rows = self.rows.lock().expect("no thread panics with it");
        let (mut text, mut wrong) = (String::new(), Vec::new());
        for (input, expected, seen, right) in rows.iter() {
            let line = format!("{input:<46} {expected:<34} {seen}{}", if *right { "" } else { "   <-- WRONG" });
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{line}");
            if !right {
                wrong.push(line);
            }
        }
        (text, wrong)
    }

    /// Codes of the table that were provoked, as they are recorded.
    pub fn codes(&self) -> Vec<&'static str> {
        let mut codes = self.codes.lock().expect("no thread panics with it").clone();
        codes.sort_unstable();
        codes.dedup();
        codes
    }
}

/// The most memory that a process ever had, in MiB.
pub fn memory_peak_mib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or_default() / 1_024
}
