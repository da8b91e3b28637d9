//! The recorded logs in `tests/golden`: `<name>.log.gz` has a record of topic `signals` a line, in hex; `<name>.rules.ndjson` the
//! bodies of the configurations that it names; `<name>.snap` the detections, a JSON object a line.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use crate::wire::from_hex;

/// Where they lie.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../golden")
}

/// Their names, in order.
pub fn names() -> Vec<String> {
    let entries = std::fs::read_dir(folder()).expect("tests/golden is there");
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".log.gz").map(str::to_owned))
        .collect();
    names.sort();
    assert!(names.len() >= 8, "recordings are missing: {names:?}");
    names
}

/// The records of a log.
pub fn records(name: &str) -> Vec<Vec<u8>> {
    let path = folder().join(format!("{name}.log.gz"));
    let file = File::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let lines = BufReader::new(GzDecoder::new(file)).lines();
    lines.map(|line| from_hex(&line.unwrap_or_else(|e| panic!("{}: {e}", path.display())))).collect()
}

/// The bodies of the configurations that a log names.
pub fn bodies(name: &str) -> Vec<String> {
    lines(&format!("{name}.rules.ndjson"))
}

/// The detections that a log must give, as JSON.
pub fn detections(name: &str) -> Vec<String> {
    lines(&format!("{name}.snap")).into_iter().filter(|line| line.starts_with('{')).collect()
}

fn lines(file: &str) -> Vec<String> {
    let path = folder().join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.lines().map(str::to_owned).collect()
}
