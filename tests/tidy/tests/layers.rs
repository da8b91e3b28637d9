//! What each layer must not know.

use logystera_tidy::{Finding, SourceFile, files, has_word, holds, members, root};

/// What would make a core depend on more than its inputs.
const IMPURE: [&str; 26] = [
    "async",
    "await",
    "tokio",
    "std::time",
    "Instant",
    "SystemTime",
    "rand",
    "getrandom",
    "HashMap",
    "HashSet",
    "logystera_infra",
    "tracing",
    "metrics::",
    "std::fs",
    "std::net",
    "stdin",
    "stdout",
    "File",
    "std::env",
    "std::thread",
    "Mutex",
    "RwLock",
    "reqwest",
    "axum",
    "rusqlite",
    "println",
];

fn rust() -> Vec<SourceFile> {
    files(&[".rs"])
}

fn all_uses(words: &[&str], of: impl Fn(&SourceFile) -> bool) -> Vec<Finding> {
    rust().iter().filter(|f| of(f)).flat_map(|f| f.uses(words)).collect()
}

#[test]
fn cores_are_pure() {
    let cores: Vec<_> = rust().into_iter().filter(SourceFile::is_core).map(|f| f.path).collect();
    for owner in ["processor/", "alerter/", "ingest/", "sender/"] {
        assert!(cores.iter().any(|path| path.starts_with(owner)), "{owner} has no core to hold to the rule");
    }
    holds("a core has inputs and outputs and nothing else", &all_uses(&IMPURE, SourceFile::is_core));
}

#[test]
fn schemas_know_nothing_of_the_outside() {
    let outside =
        ["tokio", "std::fs", "std::net", "std::time", "std::thread", "rusqlite", "logystera_infra", "tracing"];
    holds("schemas/ is types and bytes only", &all_uses(&outside, |f| f.path.starts_with("schemas/src/")));
}

/// Whoever reads rule files hands in their text: a page or another process gets the same answer from the same text.
#[test]
fn the_rule_language_is_pure() {
    let of_rules =
        |f: &SourceFile| (f.path.starts_with("rules/src/") || f.path.starts_with("rules-test/src/")) && !is_test(f);
    holds("rules/ and rules-test/ have text as their input and nothing else", &all_uses(&IMPURE, of_rules));
}

/// A filter is judged and a signal counted the same wherever it is done.
#[test]
fn rule_sets_and_metrics_are_pure() {
    let of_sets = |f: &SourceFile| ["ruleset/src/", "series/src/"].iter().any(|of| f.path.starts_with(of));
    assert!(rust().iter().filter(|f| of_sets(f)).count() > 2, "there is nothing to hold to the rule");
    holds("ruleset/ and series/ are values in and values out", &all_uses(&IMPURE, of_sets));
}

/// Tests and benchmarks measure and wait by themselves; they are no part of the product.
fn is_product(file: &SourceFile) -> bool {
    let crates = [
        "app/",
        "control/",
        "demo/",
        "sender/",
        "schemas/",
        "kafka/",
        "ingest/",
        "ruleset/",
        "series/",
        "processor/",
        "rules/",
        "rules-test/",
        "replay/",
        "alerter/",
        "channels/",
    ];
    crates.iter().any(|c| file.path.starts_with(c)) && !is_test(file)
}

fn is_test(file: &SourceFile) -> bool {
    file.path.contains("/tests/") || file.path.ends_with("tests.rs")
}

#[test]
fn only_infra_touches_the_store_and_the_clock() {
    let owned = ["rusqlite", "SystemTime", "Instant::now", "chacha20poly1305"];
    holds("the store, the clock and the seal belong to infra/", &all_uses(&owned, is_product));
}

/// The service is asked by commands, pages and the API, about folders and clusters.
#[test]
fn the_control_plane_knows_neither_http_nor_the_command_line_nor_folders() {
    let outside = ["axum", "hyper", "reqwest", "http::", "clap", "std::fs", "std::path", "Path", "PathBuf", "std::env"];
    holds("control/ is asked, and asks its adapters", &all_uses(&outside, |f| f.path.starts_with("control/src/")));
    let senders = ["logystera_processor", "logystera_alerter", "axum", "admit"];
    holds("sender/ knows the wire, not the gateway", &all_uses(&senders, |f| f.path.starts_with("sender/src/")));
}

/// Commands, pages and a rebuild of views ask for replays, of folders and of clusters.
#[test]
fn a_replay_knows_a_log_to_read_and_nothing_else() {
    let outside =
        ["axum", "clap", "std::env", "std::fs", "std::io", "std::path", "embedded", "kafka", "append", "tracing"];
    let of_replay =
        |f: &SourceFile| ["replay/src/", "backtest/src/"].iter().any(|of| f.path.starts_with(of)) && !is_test(f);
    holds(
        "replay/ and backtest/ read the log that they are handed, and give what they find",
        &all_uses(&outside, of_replay),
    );
}

/// What both need stands in `infra/`, behind the traits or beside them.
#[test]
fn a_backend_does_not_know_the_other() {
    let embedded = ["embedded", "Embedded", "EmbeddedReader"];
    holds("kafka/ knows no data folder", &all_uses(&embedded, |f| f.path.starts_with("kafka/src/")));
    let cluster = ["rdkafka", "scylla", "logystera_kafka"];
    holds("infra/ knows no cluster", &all_uses(&cluster, |f| f.path.starts_with("infra/src/")));
}

/// Which crates of ours each crate may stand on, the lowest first.
const ARROWS: [(&str, &[&str]); 18] = [
    ("schemas", &[]),
    ("infra", &["schemas"]),
    ("kafka", &["infra", "schemas"]),
    ("ingest", &["infra", "schemas"]),
    ("ruleset", &["schemas"]),
    ("series", &["ruleset", "schemas"]),
    ("processor", &["infra", "ruleset", "schemas", "series"]),
    ("rules", &["processor", "schemas"]),
    ("rules-test", &["processor", "rules", "schemas"]),
    ("channels", &["schemas"]),
    ("alerter", &["channels", "infra", "schemas"]),
    ("replay", &["alerter", "infra", "processor", "rules", "schemas"]),
    ("backtest", &["alerter", "infra", "processor", "replay", "schemas"]),
    ("control", &["infra", "schemas"]),
    (
        "installation",
        &[
            "alerter",
            "channels",
            "control",
            "infra",
            "ingest",
            "kafka",
            "processor",
            "replay",
            "rules",
            "schemas",
            "sender",
        ],
    ),
    ("sender", &["infra", "schemas"]),
    ("demo", &["channels", "control", "infra", "ingest", "schemas"]),
    (
        "app",
        &[
            "alerter",
            "backtest",
            "channels",
            "control",
            "demo",
            "infra",
            "ingest",
            "installation",
            "kafka",
            "processor",
            "replay",
            "rules",
            "rules-test",
            "schemas",
            "sender",
        ],
    ),
];

/// The crates of ours that a manifest depends on, tests aside, and may not.
fn wrong_arrows(manifest: &str, below: &[&str]) -> Vec<String> {
    let dependencies = manifest.split("[dev-dependencies]").next().unwrap_or_default();
    let ours = dependencies.lines().filter_map(|l| l.strip_prefix("logystera-")?.split(['.', ' ']).next());
    ours.filter(|name| !below.contains(name)).map(str::to_owned).collect()
}

#[test]
fn crates_depend_downwards() {
    let manifests = files(&["Cargo.toml"]);
    for (owner, below) in ARROWS {
        let manifest = manifests.iter().find(|f| f.path == format!("{owner}/Cargo.toml")).unwrap();
        let wrong = wrong_arrows(&manifest.text, below);
        assert!(wrong.is_empty(), "{owner} must not depend on {wrong:?}");
    }
    // Benchmarks look at whatever they like.
    let others = members().into_iter().filter(|member| !member.starts_with("tests/") && member != "bench");
    let unknown: Vec<String> = others.filter(|member| ARROWS.iter().all(|(owner, _)| owner != member)).collect();
    assert!(unknown.is_empty(), "{unknown:?} may depend on everything: they have no line in ARROWS");
}

#[test]
fn the_rules_see_what_they_look_for() {
    let planted = SourceFile {
        path: "processor/src/core/planted.rs".to_owned(),
        text: "use std::collections::HashMap;\n// HashMap in a comment\nlet brand = 1;\nlet r = rand::random();"
            .to_owned(),
    };
    assert!(planted.is_core());
    let lines: Vec<_> = planted.uses(&IMPURE).into_iter().map(|f| f.0).collect();
    assert_eq!(
        lines,
        [
            "processor/src/core/planted.rs:1: `HashMap` in: use std::collections::HashMap;",
            "processor/src/core/planted.rs:4: `rand` in: let r = rand::random();",
        ]
    );
    let manifest = "[dependencies]\nlogystera-infra.workspace = true\nlogystera-rules = { workspace = true, optional = true }\n\n\
                    [dev-dependencies]\nlogystera-replay.workspace = true\n";
    assert_eq!(
        wrong_arrows(manifest, &["infra", "schemas"]),
        ["rules"],
        "the engine must not know how rules are written"
    );
    assert!(has_word("a tokio::spawn", "tokio") && !has_word("tokio_like", "tokio"));
    assert!(root().join("Cargo.toml").exists());
}
