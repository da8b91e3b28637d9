//! Reads the tree as text, so that the rules of the house can be tests: see `tests/`.

use std::fs;
use std::path::{Path, PathBuf};

pub mod circles;
pub mod licence;

/// Folders that hold nothing of ours.
const SKIPPED: [&str; 3] = [".git", "target", "__pycache__"];

/// A text file of the tree.
#[derive(Debug)]
pub struct SourceFile {
    /// Path below the root, with `/` between its parts.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// A line that breaks a rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding(pub String);

/// The root of the tree.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The folders of the workspace's members, as its `Cargo.toml` names them in one line.
pub fn members() -> Vec<String> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap_or_default();
    let line = manifest.lines().find_map(|line| line.strip_prefix("members = [")).unwrap_or_default();
    line.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Every file below the root whose name ends in one of `extensions`, in the order of their paths.
#[expect(clippy::expect_used, reason = "without the tree there is nothing to test")]
pub fn files(extensions: &[&str]) -> Vec<SourceFile> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the tree can be read").flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            if path.is_dir() {
                if !SKIPPED.contains(&name.as_ref()) {
                    folders.push(path);
                }
            } else if extensions.iter().any(|e| name.ends_with(e)) {
                let Ok(text) = fs::read_to_string(&path) else { continue };
                let path = path.strip_prefix(root()).expect("it lies below the root").to_string_lossy().into_owned();
                found.push(SourceFile { path, text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

impl SourceFile {
    /// Whether the file lies in a pure core: under `core/` of a crate's `src/`, tests aside.
    pub fn is_core(&self) -> bool {
        self.path.contains("/src/core/")
    }

    /// The lines that use one of `words` in code: comments do not count, and a word is whole.
    pub fn uses(&self, words: &[&str]) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (number, line) in self.text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or(line);
            for word in words.iter().filter(|w| has_word(code, w)) {
                findings.push(Finding(format!("{}:{}: `{word}` in: {}", self.path, number + 1, line.trim())));
            }
        }
        findings
    }
}

/// Whether `text` has `word` with no letter, digit or underscore beside it.
pub fn has_word(text: &str, word: &str) -> bool {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(word).any(|(at, _)| {
        let joined_before = part(text[..at].chars().next_back()) && part(word.chars().next());
        let joined_after = part(text[at + word.len()..].chars().next()) && part(word.chars().next_back());
        !joined_before && !joined_after
    })
}

/// Fails with every finding on a line of its own, and the rule.
#[track_caller]
pub fn holds(rule: &str, findings: &[Finding]) {
    let lines: Vec<_> = findings.iter().map(|f| f.0.as_str()).collect();
    assert!(findings.is_empty(), "{rule}\n  {}\n", lines.join("\n  "));
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Line that it begins in, from 1.
    pub line: usize,
    /// Lines from there to its closing brace.
    pub lines: usize,
}

/// The functions of a formatted Rust file: one ends with the first brace that closes in its own column.
pub fn functions(text: &str) -> Vec<Function> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let indent = &line[..line.len() - line.trim_start().len()];
        let ends = |line: &&str| line.trim_end() == format!("{indent}}}");
        let declared = |line: &&str| line.starts_with(indent) && line.trim_end().ends_with(';');
        let head_end = lines[at..].iter().position(|line| line.trim_end().ends_with(['{', '}']));
        let is_declared = lines[at..].iter().take(head_end.unwrap_or(0)).any(declared);
        if is_declared || line.trim_end().ends_with('}') {
            continue;
        }
        if let Some(end) = lines[at..].iter().position(ends) {
            found.push(Function { name, line: at + 1, lines: end + 1 });
        }
    }
    found
}

fn function_name(line: &str) -> Option<String> {
    let (before, after) = line.split_once("fn ")?;
    let qualified = before
        .split_whitespace()
        .all(|w| w.starts_with("pub") || ["async", "const", "unsafe", "extern", "(super)", "(crate)"].contains(&w));
    let name: String = after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (qualified && !name.is_empty()).then_some(name)
}
