//! Each code has an explanation whose wrong example gives that code and no other, and whose right one gives none.

use std::collections::BTreeSet;

use logystera_schemas::limits::RULE_FILE_BYTES_MAX;

use crate::{Checked, Code, check_files};

/// What a rule of an example does not say.
const REST: [(&str, &str); 5] = [
    ("name", "example"),
    ("title", "An example"),
    ("severity", "info"),
    ("subsystem", "example"),
    ("message", "\"something on {site}\""),
];

/// The fence behind `heading`: its kind, and what is in it.
fn fence<'a>(code: Code, heading: &str) -> (&'a str, &'a str) {
    let (_, after) = code.markdown().split_once(&format!("\n{heading}:\n\n```")).unwrap_or_else(|| panic!("{code}"));
    let (kind, after) = after.split_once('\n').unwrap();
    (kind, after.split_once("\n```").unwrap().0)
}

/// The files that an example stands for.
fn files(code: Code, heading: &str) -> Vec<Vec<u8>> {
    let rule = |name: usize| {
        format!(
            "- {{name: r{name}, title: T, severity: info, subsystem: s, message: m, signal: mail.outcome, \
             threshold: {{count: {}, within: 10m}}}}\n",
            name + 1
        )
    };
    let many = |from: usize| {
        let rules: String = (from..from + 150).map(rule).collect();
        format!("format: 1\nrules:\n{rules}").into_bytes()
    };
    match (code, fence(code, heading)) {
        (Code::FileTooBig, ("text", _)) => vec![vec![b' '; RULE_FILE_BYTES_MAX + 1]],
        (Code::NotUtf8, ("text", _)) => vec![b"format: 1 # caf\xe9\nrules: []\n".to_vec()],
        (Code::SetTooBig, ("text", _)) => vec![many(0), many(150)],
        (Code::TwiceInSet, ("text", text)) => {
            text.split("# and in a second file of the same set:\n").map(|file| file.as_bytes().to_vec()).collect()
        }
        (_, ("yaml file", text)) => vec![text.as_bytes().to_vec()],
        (_, ("yaml", text)) => {
            let rest = REST.iter().filter(|(key, _)| !text.lines().any(|line| line.starts_with(&format!("{key}:"))));
            let lines = rest.map(|(key, value)| format!("{key}: {value}"));
            let lines = lines.chain(text.lines().map(str::to_owned));
            let rule: Vec<String> =
                lines.enumerate().map(|(n, l)| (if n == 0 { "- " } else { "  " }).to_owned() + &l).collect();
            vec![format!("format: 1\nrules:\n{}\n", rule.join("\n")).into_bytes()]
        }
        (code, (kind, _)) => panic!("{code}: an example of kind {kind}"),
    }
}

fn codes_of(files: &[Vec<u8>]) -> BTreeSet<Code> {
    let files: Vec<(String, Vec<u8>)> =
        ["a.yaml", "b.yaml"].map(str::to_owned).into_iter().zip(files.to_vec()).collect();
    let Checked { set, diagnostics, .. } = check_files(&files);
    let errors = diagnostics.iter().any(|d| !d.code.is_warning());
    assert_eq!(set.is_none(), errors, "a set with an error cannot be used, and only that: {diagnostics:#?}");
    diagnostics.iter().map(|d| d.code).collect()
}

#[test]
fn the_wrong_example_gives_the_code_and_the_right_one_gives_none() {
    for code in Code::ALL.iter().copied() {
        assert_eq!(codes_of(&files(code, "Wrong")), BTreeSet::from([code]), "{code}, wrong: {}", code.markdown());
        assert_eq!(codes_of(&files(code, "Right")), BTreeSet::new(), "{code}, right: {}", code.markdown());
    }
}

#[test]
fn codes_are_in_order_and_told_by_their_files() {
    let names: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert!(names.is_sorted());
    for code in Code::ALL.iter().copied() {
        assert!(code.markdown().starts_with(&format!("# {code}: ")), "{code} begins with its title");
        assert!(!code.title().is_empty() && !code.title().ends_with('.'), "{code}: {}", code.title());
        assert_eq!(Code::from_name(&code.as_str().to_lowercase()), Some(code));
    }
    assert_eq!(Code::from_name("E999"), None);
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/codes");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().replace(".md", ""))
        .collect();
    files.sort();
    assert_eq!(files, names, "a file a code, and no other");
}

/// Every code is shown as a terminal shows it, here or in the tables of `refused`: whoever adds one sees it.
#[test]
fn every_code_is_seen() {
    for code in Code::ALL.iter().copied() {
        let files = files(code, "Wrong");
        let files: Vec<(String, Vec<u8>)> =
            ["rules.yaml", "more.yaml"].map(str::to_owned).into_iter().zip(files).collect();
        let shown = check_files(&files).diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n");
        insta::with_settings!({snapshot_path => "../../tests/snapshots", prepend_module_to_snapshot => false, omit_expression => true}, {
            insta::assert_snapshot!(format!("code-{code}"), shown);
        });
    }
}
