//! `logystera rules check` as a user meets it: output and exit codes.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// Runs `rules check` in `folder`; returns the exit code, standard output and standard error.
fn check(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let done = Command::new(env!("CARGO_BIN_EXE_logystera"))
        .args(["rules", "check"])
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (done.status.code(), text(done.stdout), text(done.stderr))
}

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

const GOOD: &str = "format: 1\nrules:\n- {name: good, title: T, subsystem: s, message: m, why: Because., do: This., severity: warning, signal: cron.run, threshold: {count: 1, within: 1m}}\n";

#[test]
fn files_and_folders_that_can_be_used_exit_with_0() {
    let folder = folder(&[("a.yaml", GOOD.as_bytes()), ("b.yml", b"format: 1\n"), ("notes.txt", b"not a rule")]);
    for arguments in [["."].as_slice(), &["a.yaml"], &["a.yaml", "b.yml"]] {
        let (code, out, err) = check(folder.path(), arguments);
        assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
        assert!(out.contains("good      ") && out.contains("1 rule, no errors; digest "), "{out}");
        assert!(!out.contains("Because."), "{out}");
    }
    let (_, out, _) = check(folder.path(), &["--explain", "a.yaml"]);
    assert!(out.starts_with("good: T\n  why: Because.\n  do:  This.\n"), "{out}");
    let (code, out, _) = check(folder.path(), &["--json", "a.yaml"]);
    let lines: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((code, lines.len()), (Some(0), 2));
    assert_eq!((&lines[0]["rule"], &lines[0]["worst_case"]["groups"]), (&"good".into(), &1.into()));
}

#[test]
fn errors_of_all_files_exit_with_1() {
    let folder =
        folder(&[("a.yaml", b"format: 1\nrulez: []\n"), ("b.yaml", b"format: \xff\n"), ("c.yaml", GOOD.as_bytes())]);
    let (code, out, _) = check(folder.path(), &["a.yaml", "b.yaml", "c.yaml"]);
    assert_eq!(code, Some(1));
    assert!(
        out.contains("--> a.yaml:2:1\n")
            && out.contains("--> b.yaml:1:9\n")
            && out.ends_with("2 errors: `logystera rules explain E102` says more\n"),
        "{out}"
    );
    let (code, out, _) = check(folder.path(), &["--json", "."]);
    assert_eq!(code, Some(1));
    let lines: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_a = lines.iter().find(|l| l["file"] == "./a.yaml").unwrap();
    assert_eq!(
        *of_a,
        serde_json::json!({
            "code": "E201", "level": "error", "file": "./a.yaml", "line": 2, "column": 1, "width": 5, "text": "rulez: []",
            "problem": "a rule file has no `rulez`", "label": "unknown key", "help": "did you mean `rules`?",
        })
    );
}

#[test]
fn warnings_are_told_and_are_errors_only_where_that_is_asked() {
    let doubtful = GOOD.replace("signal: cron.run", "signal: http.request, where: {path: /a/*.sql}");
    let folder = folder(&[("a.yaml", doubtful.as_bytes())]);
    let (code, out, _) = check(folder.path(), &["a.yaml"]);
    assert_eq!(code, Some(0), "{out}");
    assert!(
        out.starts_with("warning[W101]: ") && out.ends_with("1 warning: `logystera rules explain W101` says more\n"),
        "{out}"
    );
    assert_eq!(check(folder.path(), &["--strict", "a.yaml"]).0, Some(1));
    let (code, out, _) = check(folder.path(), &["--json", "a.yaml"]);
    assert_eq!((code, out.lines().count()), (Some(0), 3), "{out}");
}

#[test]
fn a_code_is_explained() {
    let explain = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_logystera"));
        let done = command.args(["rules", "explain"]).args(arguments).output().unwrap();
        (done.status.code(), String::from_utf8(done.stdout).unwrap())
    };
    let (code, out) = explain(&["e302"]);
    assert_eq!(code, Some(0));
    assert!(
        out.starts_with("E302: The signal has no such field\n") && out.contains("\nWrong:\n\n    signal: "),
        "{out}"
    );
    assert!(explain(&[]).1.contains("\nE302  The signal has no such field\n"));
    assert_eq!(explain(&["E999"]).0, Some(2));
}

#[test]
fn what_cannot_be_read_is_wrong_use() {
    let folder = folder(&[("notes.txt", b"")]);
    for arguments in [[].as_slice(), &["missing.yaml"], &["."], &["--explain", "--json", "notes.txt"]] {
        let (code, _, err) = check(folder.path(), arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {err}");
        assert!(!err.is_empty());
    }
}

#[test]
fn tests_of_rules_are_run() {
    let rules = |state: &str| {
        let tests = format!(
            "tests: [{{name: one, signals: [{{at: 0s, job: a, outcome: ok}}], expect: [{{at: 1s, state: {state}}}]}}]"
        );
        GOOD.replace("signal: cron.run", &format!("signal: cron.run, {tests}"))
    };
    let folder = folder(&[
        ("good.yaml", rules("firing").as_bytes()),
        ("bad.yaml", rules("inactive").as_bytes()),
        ("broken.yaml", b"format: 2"),
    ]);
    let test = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_logystera"));
        let done = command.args(["rules", "test"]).args(arguments).current_dir(folder.path()).output().unwrap();
        (done.status.code(), String::from_utf8(done.stdout).unwrap())
    };
    assert_eq!(test(&["good.yaml"]), (Some(0), "1 test of 1 rule: all passed\n".to_owned()));
    let (code, out) = test(&["bad.yaml", "--junit", "results.xml"]);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("expected inactive, was firing: 1 of 1 match within 1m\n"), "{out}");
    let xml = std::fs::read_to_string(folder.path().join("results.xml")).unwrap();
    assert!(xml.contains("failures=\"1\"") && xml.contains("was firing"), "{xml}");
    let (code, out) = test(&["broken.yaml"]);
    assert!(code == Some(1) && out.starts_with("error[E113]: "), "{out}");
    assert_eq!(test(&["missing.yaml"]).0, Some(2));
}
