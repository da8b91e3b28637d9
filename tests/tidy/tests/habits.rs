//! Size, leftovers, limits and licences.

use std::process::Command;

use logystera_tidy::licence::permits;
use logystera_tidy::{Finding, Function, SourceFile, files, functions, has_word, holds, members, root};

/// Lines after which a file is two.
const FILE_LINES_MAX: usize = 400;
/// The same for tests, which are tables.
const TEST_LINES_MAX: usize = 450;
/// Files that may be longer, and why.
const LONG_FILES: &[(&str, &str)] = &[];

const CODE: [&str; 5] = [".rs", ".py", ".php", ".sh", "tests/run"];

#[test]
fn files_are_short_enough_to_read() {
    let excused = |path: &str| LONG_FILES.iter().any(|(file, _)| *file == path);
    let mut findings = Vec::new();
    for file in files(&CODE) {
        let lines = file.text.lines().count();
        let max = if is_test(&file.path) { TEST_LINES_MAX } else { FILE_LINES_MAX };
        if lines > max && !excused(&file.path) {
            findings.push(Finding(format!("{} has {lines} lines", file.path)));
        }
        if lines <= max && excused(&file.path) {
            findings.push(Finding(format!("{} is no longer long: strike it from the list", file.path)));
        }
    }
    holds("a file past 400 lines (of tests, 450) is two, or has its reason in LONG_FILES", &findings);
}

/// Lines after which a function is two; a table of a test may be longer.
const FUNCTION_LINES_MAX: usize = 80;
/// Lines of a crate outside its tests after which it is two.
const CRATE_LINES_MAX: usize = 8_000;

fn is_test(path: &str) -> bool {
    path.contains("tests/") || path.ends_with("tests.rs")
}

#[test]
fn functions_are_short_enough_to_read() {
    let mut findings = Vec::new();
    for file in files(&[".rs"]).into_iter().filter(|f| f.path.contains("/src/") && !is_test(&f.path)) {
        for Function { name, line, lines } in functions(&file.text) {
            if lines > FUNCTION_LINES_MAX {
                findings.push(Finding(format!("{}:{line}: {name} has {lines} lines", file.path)));
            }
        }
    }
    holds("a function past 80 lines is two", &findings);
}

/// Lines of a file that are not in a module of tests.
fn lines_outside_tests(text: &str) -> usize {
    let (mut count, mut in_tests) = (0, false);
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let opens = |next: &&str| next.contains("mod ") && next.ends_with('{');
        in_tests |= line.starts_with("#[cfg(test)]") && lines.peek().is_some_and(opens);
        count += usize::from(!in_tests);
        in_tests &= line != "}";
    }
    count
}

#[test]
fn crates_are_small_enough_to_know() {
    let files = files(&[".rs"]);
    let mut findings = Vec::new();
    let owners: Vec<String> = members().into_iter().filter(|member| !member.starts_with("tests/")).collect();
    assert!(owners.len() > 10, "only {owners:?}");
    for owner in owners {
        let of_crate = |f: &&SourceFile| f.path.starts_with(&format!("{owner}/src/")) && !is_test(&f.path);
        let lines: usize = files.iter().filter(of_crate).map(|f| lines_outside_tests(&f.text)).sum();
        assert!(lines > 0, "{owner} has no sources");
        if lines > CRATE_LINES_MAX {
            findings.push(Finding(format!("{owner} has {lines} lines")));
        }
    }
    holds("a crate past 8000 lines is two", &findings);
}

#[test]
fn a_function_ends_where_its_brace_closes() {
    let text = "trait T {\n    fn declared(&self)\n        -> u32;\n    fn short(&self) {}\n}\n\npub(crate) async fn long(\n    a: u32,\n) {\n    \
                if a {\n    }\n}\n";
    let found = functions(text);
    assert_eq!(found, [Function { name: "long".to_owned(), line: 7, lines: 6 }]);
}

#[test]
fn nothing_is_left_for_later() {
    let marks = [
        concat!("#[", "ignore"),
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
        concat!("FIX", "ME"),
        concat!("TO", "DO"),
        concat!("dbg", "!("),
    ];
    let mut findings = Vec::new();
    for file in files(&[".rs", ".py", ".php", ".sh", ".md", ".yaml"]) {
        for (number, line) in file.text.lines().enumerate() {
            for mark in marks.iter().filter(|m| line.contains(**m)) {
                findings.push(Finding(format!("{}:{}: {mark}", file.path, number + 1)));
            }
        }
    }
    holds("what is not asked for is left out, not left for later", &findings);
}

/// The standard macros panic where the terminal is gone or the disk is full, and a release build aborts then.
#[test]
fn nothing_ends_because_it_cannot_be_printed() {
    let libraries = [
        "control/src/",
        "demo/src/",
        "infra/src/",
        "ingest/src/",
        "alerter/src/",
        "channels/src/",
        "ruleset/src/",
        "series/src/",
        "processor/src/",
        "rules/src/",
        "replay/src/",
        "schemas/src/",
    ];
    let mut findings = Vec::new();
    for file in files(&[".rs"]).iter().filter(|f| libraries.iter().any(|l| f.path.starts_with(l))) {
        for (number, line) in file.text.lines().enumerate() {
            if line.contains("print!(") || line.contains("println!(") {
                findings.push(Finding(format!("{}:{}", file.path, number + 1)));
            }
        }
    }
    holds("a library does not print", &findings);
    for crate_root in ["app/src/lib.rs", "sender/src/lib.rs"] {
        let root = files(&[".rs"]).into_iter().find(|f| f.path == crate_root);
        let code = root.iter().flat_map(|f| f.text.lines()).filter(|l| !l.starts_with("//") && !l.is_empty());
        let first: Vec<_> = code.take(2).collect();
        assert_eq!(
            first,
            ["#[macro_use]", "extern crate logystera_infra;"],
            "{crate_root}: our macros stand in the place of the standard ones"
        );
    }
}

/// The library's own accept loop takes as many connections as the machine has open files, and keeps those that idle.
#[test]
fn every_listener_has_bounds() {
    let mut findings = Vec::new();
    for file in files(&[".rs"]).iter().filter(|f| f.path.contains("/src/") && !f.path.starts_with("tests/")) {
        for (number, line) in file.text.lines().enumerate() {
            if line.contains("axum::serve(") {
                findings.push(Finding(format!("{}:{}", file.path, number + 1)));
            }
        }
    }
    holds("a listener has few connections and pauses: logystera_ingest::serve_few", &findings);
}

/// Every bound is used by the code that it bounds or by a test: one that nobody names bounds nothing.
#[test]
fn every_limit_is_in_force() {
    let sources = files(&[".rs"]);
    let is_room = |path: &str| path == "schemas/src/limits.rs" || path.starts_with("schemas/src/limits/");
    let (limits, others): (Vec<_>, Vec<_>) = sources.iter().partition(|f| is_room(&f.path));
    let lines = limits.iter().flat_map(|f| f.text.lines());
    let names = lines.filter_map(|l| l.strip_prefix("pub const ")?.split(':').next());
    let idle: Vec<_> = names
        .filter(|name| !others.iter().any(|f| has_word(&f.text, name)))
        .map(|name| Finding(format!("{name} is named nowhere else")))
        .collect();
    holds("a limit that no code names bounds nothing", &idle);
}

/// Licences of packages that may be linked into a binary under Apache-2.0.
const LICENCES: &[&str] = &[
    "Apache-2.0",
    "MIT",
    "MIT-0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "0BSD",
    "BSL-1.0",
    "Unlicense",
    "CC0-1.0",
    "Unicode-3.0",
    "CDLA-Permissive-2.0",
    "MPL-2.0",
];

#[test]
fn every_package_has_a_licence_that_we_may_link() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 50, "only {} packages: the list is not whole", packages.len());
    let findings: Vec<_> = packages
        .iter()
        .filter(|p| !permits(p["license"].as_str().unwrap_or_default(), LICENCES))
        .map(|p| Finding(format!("{} {}: {}", p["name"], p["version"], p["license"])))
        .collect();
    holds("a package's licence must allow linking", &findings);
}

/// Who has no headers of OpenSSL builds everything else.
#[test]
fn only_the_feature_kafka_tls_needs_openssl() {
    for (feature, needs) in [("kafka", false), ("kafka-tls", true)] {
        let output = Command::new(env!("CARGO"))
            .args(["tree", "--locked", "-p", "logystera", "--edges", "normal,build", "--prefix", "none", "--features"])
            .arg(feature)
            .current_dir(root())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let tree = String::from_utf8_lossy(&output.stdout);
        assert!(tree.contains("rdkafka-sys "), "{tree}");
        assert_eq!(tree.contains("openssl-sys "), needs, "feature {feature}");
    }
}
