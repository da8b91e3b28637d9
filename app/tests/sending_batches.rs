//! `docs/sending-batches.md` and the vectors beside the client say what the gateway's own code says.

use std::fs;
use std::path::{Path, PathBuf};

use logystera_schemas::ids::Sha256Digest;
use logystera_schemas::signature::{CONTENT_TYPE, METHOD, PATH, Secret, Signed};
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a folder up").to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect("the file is in the tree")
}

fn text<'a>(vector: &'a Value, name: &str) -> &'a str {
    vector[name].as_str().expect("each vector has each name")
}

/// Base64 of RFC 4648, section 4.
fn base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits =
        text.bytes().filter(|b| *b != b'=').map(|b| ALPHABET.iter().position(|a| *a == b).expect("Base64") as u32);
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for digit in digits {
        bits = bits << 6 | digit;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

#[test]
fn the_vectors_hold_and_the_document_has_them() {
    let file: Value = serde_json::from_str(&read("tests/clients/vectors.json")).unwrap();
    let document = read("docs/sending-batches.md");
    let secret = Secret::from_hex(text(&file, "secret_hex")).unwrap();
    assert_eq!((text(&file, "method"), text(&file, "path"), text(&file, "content_type")), (METHOD, PATH, CONTENT_TYPE));
    let vectors = file["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), 6);
    for vector in vectors {
        let body = base64(text(vector, "body_base64"));
        assert_eq!(body.len() as u64, vector["body_bytes"].as_u64().unwrap());
        let digest = Sha256Digest::of(&body);
        let signed = Signed {
            audience: text(vector, "audience"),
            site: &text(vector, "site").parse().unwrap(),
            key: &text(vector, "key").parse().unwrap(),
            ts: vector["ts"].as_i64().unwrap(),
            batch: text(vector, "batch").parse().unwrap(),
            content_type: CONTENT_TYPE.as_bytes(),
            content_encoding: text(vector, "content_encoding").as_bytes(),
            body_digest: digest,
        };
        let name = text(vector, "name");
        assert_eq!(digest.to_string(), text(vector, "body_digest"), "{name}");
        assert_eq!(signed.explain(), text(vector, "signed"), "{name}");
        assert_eq!(signed.sign(&secret), text(vector, "header"), "{name}");
        assert!(text(vector, "header").ends_with(&format!("sig={}", text(vector, "sig"))), "{name}");

        let row = format!("| `{name}` | {} |", text(vector, "note"));
        let row = document.lines().find(|line| line.starts_with(&row)).unwrap_or_else(|| panic!("no row {name}"));
        for value in ["batch", "content_encoding", "body_digest", "sig"] {
            assert!(row.contains(text(vector, value)), "{name}: {value}");
        }
    }
    let plain = String::from_utf8(base64(text(&vectors[0], "body_base64"))).unwrap();
    assert!(document.contains(&format!("```json\n{plain}\n```")));
    assert!(document.contains(&format!("```\n{}\n```", text(&vectors[0], "signed").replace('\n', "\\n"))));
}

#[test]
fn the_vectors_that_can_be_read_are_the_bodies_they_say() {
    use std::io::Read;
    let file: Value = serde_json::from_str(&read("tests/clients/vectors.json")).unwrap();
    let body = |name: &str| {
        let vector = file["vectors"].as_array().unwrap().iter().find(|v| text(v, "name") == name).unwrap();
        base64(text(vector, "body_base64"))
    };
    let mut inflated = Vec::new();
    flate2::read::GzDecoder::new(&body("gzip")[..]).read_to_end(&mut inflated).unwrap();
    assert_eq!(inflated, body("plain"));
    let heartbeat: Value = serde_json::from_slice(&body("heartbeat")).unwrap();
    assert_eq!(heartbeat["signals"], serde_json::json!([]));
    assert!(std::str::from_utf8(&body("unicode")).unwrap().contains("caf\u{e9}_\u{4e16}\u{754c}_\u{1f600}"));
}

#[test]
fn the_document_has_the_client_word_by_word_and_it_is_short() {
    let client = read("tests/clients/send_batches.py");
    let document = read("docs/sending-batches.md");
    assert!(document.ends_with(&format!("```python\n{client}```\n")));
    assert!(client.lines().count() < 80);
    assert!(client.lines().all(|line| line.chars().count() <= 120));
}

#[test]
fn the_documents_limits_are_the_systems() {
    use logystera_schemas::limits::{
        BATCH_SIGNALS_MAX, BODY_BYTES_MAX, CUT_BYTES_MAX, FLUSH_EVERY_S_DEFAULT, JSON_DEPTH_MAX, ROTATION_OVERLAP_DAYS,
        SEND_BACKOFF_MS, SEND_FAILURES_MAX, SEND_PAUSE_MS_MAX, SIGNAL_AGE_MS_MAX, SIGNAL_FIELDS_MAX, SKEW_S_MAX,
        SPOOLS_MAX, WIRE_BYTES_MAX,
    };
    let document = read("docs/sending-batches.md");
    assert_eq!((BATCH_SIGNALS_MAX, SEND_PAUSE_MS_MAX, FLUSH_EVERY_S_DEFAULT), (1_000, 3_600_000, 60));
    for said in [
        format!("| body as it is sent | {} MiB |", WIRE_BYTES_MAX >> 20),
        format!("| body inflated | {} MiB |", BODY_BYTES_MAX >> 20),
        "| signals in a batch | 1,000 |".to_owned(),
        format!("| levels of nesting in the JSON, the outermost counted | {JSON_DEPTH_MAX} |"),
        format!("| names in one JSON object | {SIGNAL_FIELDS_MAX} |"),
        format!("| spools of a site | {SPOOLS_MAX} |"),
        format!("| clock: `ts` against the gateway's | {SKEW_S_MAX} s either way |"),
        format!("| age of a signal | {} days |", SIGNAL_AGE_MS_MAX / 86_400_000),
        format!("about {} KiB of JSON", CUT_BYTES_MAX >> 10),
        format!("a random time between 0 and {} s", SEND_BACKOFF_MS / 1_000),
        format!("After {SEND_FAILURES_MAX} failures in a row"),
        format!("the old one goes on for {ROTATION_OVERLAP_DAYS} days"),
    ] {
        assert!(document.contains(&said), "{said}");
    }
}

/// Each answer of the gateway's table has its place in the document's.
#[test]
fn every_status_of_the_gateway_is_answered() {
    use logystera_ingest::core::refusal::Refusal;
    let document = read("docs/sending-batches.md");
    let answers = document.split("## Answers").nth(1).unwrap().split("\n## ").next().unwrap();
    for refusal in Refusal::ALL {
        let row = refusal.row();
        let status = row.status.to_string();
        let line = answers.lines().find(|l| l.split('|').nth(1).is_some_and(|cell| cell.contains(&status)));
        let line = line.or_else(|| answers.lines().find(|l| l.starts_with("| any other") && l.contains(&status)));
        let is_final = line.unwrap_or_else(|| panic!("no row for {status}")).split('|').nth(3).unwrap().trim();
        if row.answer != "clock_skew" {
            assert_eq!(is_final == "yes", row.is_final, "{}", row.code);
        }
    }
}
