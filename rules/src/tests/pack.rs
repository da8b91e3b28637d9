//! The default pack is a promise: each rule says why it matters and what to do, and is tested.

use std::collections::BTreeSet;
use std::path::Path;

use logystera_processor::core::{Condition, Metric, RuleSet, StateLimits};
use logystera_schemas::catalogue::SignalType;

use crate::{Code, DEFAULT_METRICS, DEFAULT_PACK, Diagnostic, WorstCase, check, default_pack};

fn read() -> RuleSet {
    default_pack().unwrap_or_else(|errors| {
        panic!("{}", errors.iter().map(Diagnostic::to_string).collect::<Vec<_>>().join("\n\n"))
    })
}

#[test]
fn the_pack_has_the_rules_that_it_promises() {
    let names: Vec<String> = read().rules.iter().map(|r| r.name.to_string()).collect();
    assert_eq!(
        names,
        [
            "account-under-distributed-attack",
            "administrator-created",
            "core-file-edited",
            "cron-stopped",
            "failed-sign-ins-surge",
            "http-5xx-burst",
            "login-brute-force",
            "mail-delivery-failing",
            "password-spray",
            "php-fatal-errors",
            "probing-for-missing-pages",
            "refused-by-gateway",
            "security-keys-changed",
            "signals-dropped",
            "site-silent",
            "watching-switched-off",
        ]
    );
}

#[test]
fn every_rule_of_the_pack_is_for_people() {
    let files: String = DEFAULT_PACK.iter().map(|(_, text)| *text).collect();
    for rule in read().rules {
        assert!(rule.why.as_ref().is_some_and(|why| why.ends_with('.')), "{} says why", rule.name);
        assert!(rule.advice.as_ref().is_some_and(|advice| advice.ends_with('.')), "{} says what to do", rule.name);
        let block = files.split("\n- name: ").find(|block| block.starts_with(rule.name.as_str())).unwrap_or_default();
        assert!(block.contains("\n  tests:\n"), "{} has tests", rule.name);
    }
}

/// What may be said of the pack: it needs what the language has not yet.
const ALLOWED: [(Code, &str); 2] = [
    (Code::GroupOfTheMissing, "no test can say that a field is there"),
    (Code::NotEachIsTold, "no condition tells each match"),
];

#[test]
fn the_pack_says_what_it_does() {
    for diagnostic in check(&DEFAULT_PACK).diagnostics {
        assert!(ALLOWED.iter().any(|(code, _)| *code == diagnostic.code), "{diagnostic}");
    }
}

#[test]
fn every_rule_of_the_pack_fits_a_site() {
    let limits = StateLimits::default();
    for rule in read().rules {
        let worst = WorstCase::of(&rule, &limits);
        assert!(worst.rule_bytes <= limits.site_bytes, "{}: {worst:?}", rule.name);
    }
}

/// Charts need each type; what they take is little beside what rules have.
#[test]
fn the_pack_counts_every_type_and_takes_little() {
    let metrics = read().metrics;
    let counted: BTreeSet<SignalType> = metrics.iter().map(|metric| metric.signal).collect();
    assert_eq!(counted, SignalType::all().collect());
    let bytes: usize = metrics.iter().map(Metric::bytes_max).sum();
    assert!(bytes < StateLimits::default().site_bytes / 100, "{bytes} bytes");
}

#[test]
fn the_pack_watches_a_silent_site() {
    assert!(read().rules.iter().any(|r| matches!(r.condition, Condition::Blind { after_ms: 3_600_000 })));
}

#[test]
fn every_file_of_the_folder_is_in_the_pack() {
    let folder = env!("CARGO_MANIFEST_DIR");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| format!("rules/{}", entry.unwrap().file_name().to_string_lossy()))
        .filter(|name| Path::new(name).extension().is_some_and(|e| e == "yaml"))
        .collect();
    files.sort();
    let mut known: Vec<&str> = DEFAULT_PACK.into_iter().chain([DEFAULT_METRICS]).map(|(name, _)| name).collect();
    known.sort_unstable();
    assert_eq!(files, known);
}

#[test]
fn signals_md_is_what_the_catalogue_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/signals.md");
    let wanted = crate::catalogue_markdown();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &wanted).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap_or_default(), wanted, "see the head of docs/signals.md");
}
