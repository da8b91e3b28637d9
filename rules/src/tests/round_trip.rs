//! Whatever is accepted comes back from its canonical form the same, and hostile files come back as errors.

use logystera_processor::core::RuleSet;
use logystera_processor::task::NoRuleSet;
use proptest::prelude::*;

use crate::{DEFAULT_PACK, Level, check_files, default_pack, from_canonical, from_yaml, published};

/// A rule's keys as a generator draws them.
fn rules() -> impl Strategy<Value = String> {
    let name = "[a-z0-9_-]{1,12}";
    // Anything that a line of text may hold, and much that it may not.
    let text = prop_oneof![
        Just("{count} on {site}".to_owned()),
        Just("{within} {{}}".to_owned()),
        "\\PC{1,40}",
        "[-\"'\\\\ {}:#,&*!|>%@`\\[\\]a-é]{1,20}"
    ];
    let span = (1_i64..2_000, prop_oneof![Just("ms"), Just("s"), Just("m"), Just("h")])
        .prop_map(|(n, unit)| format!("{n}{unit}"));
    let condition = prop_oneof![
        (1_u32..2_000, span.clone()).prop_map(|(n, w)| format!("threshold: {{count: {n}, within: {w}}}")),
        (1_u32..2_000, 1_i64..720)
            .prop_map(|(n, p)| format!("threshold: {{count: {n}, within: {}s, resolution: 5s}}", p * 5)),
        (2_u32..256, span.clone())
            .prop_map(|(n, w)| format!("threshold: {{distinct: {{field: user_agent, at_least: {n}}}, within: {w}}}")),
        (1_u32..12_000, 1_u32..500, span.clone()).prop_map(|(part, min, w)| {
            let part = format!("{}.{:02}", part / 100, part % 100);
            format!("threshold: {{count: {min}, ratio: {{of: {{status: [500, 503]}}, at_least: {part}%, min: {min}}}, within: {w}}}")
        }),
        (490_u32..1_010, 1_u32..5_000, 1_i64..720).prop_map(|(p, n, panes)| {
            let p = format!("{}.{}", p / 10, p % 10);
            format!("threshold: {{percentile: {{field: duration_ms, p: {p}, at_least: {n}, min: 20}}, within: {}s, resolution: 5s}}", panes * 5)
        }),
        (1_u64..1_000_000, span.clone())
            .prop_map(|(n, w)| format!("threshold: {{sum: {{field: duration_ms, at_least: {n}}}, within: {w}}}")),
        span.clone().prop_map(|s| format!("absent: {{for: {s}, expected: once_seen}}")),
        Just("each: {}".to_owned()),
    ];
    let predicate = prop_oneof![
        Just("status: {gte: 500, lt: 600}".to_owned()),
        Just("status: {not: [404, 200, 404]}".to_owned()),
        Just("method: [POST, GET]".to_owned()),
        Just("path: {not: {prefix: [/b, /a]}}".to_owned()),
        Just("user_agent: 'curl/8.5.0 \"x\" \\'".to_owned()),
        Just("source: 000102030405060708090a0b0c0d0e0f".to_owned()),
        Just("action: {present: false}".to_owned()),
        Just("bot: {not: {present: true}}".to_owned()),
        Just("flags: {all: [xss, sqli]}".to_owned()),
        Just("path: {suffix: [.sql, .PHP], nocase: true}".to_owned()),
        Just("user_agent: {not: {contains: [sqlmap, nikto]}}".to_owned()),
        Just("any: [{status: 404}, {method: GET, not: {status: {lt: 300}}}, {status: 404}]".to_owned()),
        Just("all: [{not: {any: [{route_group: login}, {status: 200}]}}, {path: {not: /a}}]".to_owned()),
        Just("not: {all: [{status: {gte: 500}}], source: {not: {present: true}}}".to_owned()),
        (100_i64..600).prop_map(|n| format!("duration_ms: {{gt: {n}}}")),
    ];
    let group_by = prop_oneof![Just("[]"), Just("[source]"), Just("[method, status]")];
    (name, text.clone(), text, span, condition, prop::collection::vec(predicate, 0..3), group_by).prop_map(
        |(name, title, message, span, condition, tests, group_by)| {
            let quote = |text: &str| format!("'{}'", text.replace('\'', "''"));
            format!(
                "- name: {name}\n  title: {}\n  subsystem: s\n  signal: http.request\n  where: {{{}}}\n  {condition}\n  group_by: {group_by}\n  suppress: {span}\n  message: {}\n  tests: [{{name: {}, signals: [{{at: {span}, status: 404}}], expect: []}}]\n",
                quote(&title),
                tests.join(", "),
                quote(&message),
                quote(&title),
            )
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_canonical_form_reads_back_as_itself(rules in prop::collection::vec(rules(), 1..4)) {
        let text = format!("format: 1\nrules:\n{}", rules.concat());
        if let Ok(set) = from_yaml(&[("t.yaml", &text)]) {
            check(&set)?;
        }
    }

    /// No file makes the reader panic, and every error can be shown.
    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..600), soup in "(format: 1\n)?((- )?(name|where|threshold|tests|signal|group_by|absent|expect|rules|groups|detection)?[:,] ?[\\[{}\\]'\"]?( ?[a-z0-9*%/.]{0,8}|cron\\.run|\n|\n  ){0,3}){0,40}") {
        for file in [bytes, soup.into_bytes()] {
            let checked = check_files(&[("a.yaml".to_owned(), file.clone()), ("b.yaml".to_owned(), file)]);
            let errors = checked.diagnostics.iter().filter(|d| d.level == Level::Error).count();
            prop_assert_eq!(checked.set.is_none(), errors > 0);
            for diagnostic in &checked.diagnostics {
                prop_assert!(!diagnostic.to_string().contains('\x1b') && diagnostic.rendered(true).contains("\x1b[1;3"));
            }
        }
    }

    #[test]
    fn a_damaged_file_is_read_or_refused(file in 0..DEFAULT_PACK.len(), damage in prop::collection::vec((any::<prop::sample::Index>(), 0..8_usize, "[-\\[\\]{}:,?&*!|>'\"%@#\\n\\t a0é]{0,4}"), 1..6)) {
        let mut text: Vec<char> = DEFAULT_PACK[file].1.chars().collect();
        for (at, cut, insert) in damage {
            let at = at.index(text.len());
            text.splice(at..(at + cut).min(text.len()), insert.chars());
        }
        let text: String = text.into_iter().collect();
        match from_yaml(&[("t.yaml", &text)]) {
            Ok(set) => check(&set)?,
            Err(errors) => prop_assert!(!errors.is_empty() && errors.iter().all(|e| e.to_string().contains("--> t.yaml:"))),
        }
    }
}

/// Reads the body again as if it were a file, so that it is built anew and not just kept.
fn check(set: &RuleSet) -> Result<(), TestCaseError> {
    let again = from_yaml(&[("body", &set.body)])
        .map_err(|errors| TestCaseError::fail(format!("{}\n{}", errors[0], set.body)))?;
    prop_assert_eq!(&again.body, &set.body);
    prop_assert_eq!(again.digest, set.digest);
    prop_assert_eq!(format!("{:?}", again.rules), format!("{:?}", set.rules));
    let kept = from_canonical(&set.body).map_err(|errors| TestCaseError::fail(errors[0].to_string()))?;
    prop_assert_eq!((&kept.body, kept.digest), (&set.body, set.digest));
    Ok(())
}

#[test]
fn the_pack_reads_back_as_itself() {
    let set = default_pack().map_err(|errors| errors[0].to_string()).unwrap();
    check(&set).unwrap();
    // The form is JSON, for whoever reads `control` with other tools.
    let json: serde_json::Value = serde_json::from_str(&set.body).unwrap();
    assert_eq!(json["rules"].as_array().map(Vec::len), Some(set.rules.len()));
}

#[test]
fn the_engine_is_told_what_is_wrong_with_a_body() {
    let body = r#"{"format":1,"rules":[]}"#;
    assert_eq!(published(Some(body)).map(|set| set.body), Ok(body.to_owned()));
    assert_eq!(published(None).map(|set| set.body), Err(NoRuleSet::Missing));
    let two_wrong = r#"{"format":1,"rules":[{"name":"A"}]}"#;
    let errors = from_canonical(two_wrong).unwrap_err().len();
    assert!(errors > 1, "{errors}");
    assert_eq!(published(Some(two_wrong)).map(|set| set.body), Err(NoRuleSet::Unreadable(errors)));
}

/// A later version may write a set differently; what stands in the log keeps its digest.
#[test]
fn a_body_from_the_log_keeps_its_digest() {
    let body = r#"{"format":1,"rules":[]}"#;
    let set = from_canonical(body).unwrap();
    assert_eq!(set.body, body);
    assert_eq!(set.digest, logystera_schemas::ids::Sha256Digest::of(body.as_bytes()));
}
