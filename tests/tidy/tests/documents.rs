//! What the documents promise is there.

use std::collections::BTreeSet;
use std::path::Path;

use logystera_tidy::{Finding, SourceFile, files, has_word, holds, root};

/// `[text](target)` of a Markdown file, code blocks aside.
fn links(file: &SourceFile) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (number, block) in file.text.split("```").enumerate() {
        if number % 2 == 1 {
            continue;
        }
        for (at, _) in block.match_indices("](") {
            let text = block[..at].rsplit('[').next().unwrap_or_default();
            let target = block[at + 2..].split(')').next().unwrap_or_default();
            found.push((text.to_owned(), target.to_owned()));
        }
    }
    found
}

fn is_elsewhere(target: &str) -> bool {
    target.starts_with("http://") || target.starts_with("https://") || target.starts_with("mailto:")
}

fn target_path(file: &SourceFile, target: &str) -> std::path::PathBuf {
    let folder = Path::new(&file.path).parent().unwrap_or(Path::new("")).to_owned();
    root().join(folder).join(target.split('#').next().unwrap_or_default())
}

#[test]
fn links_lead_somewhere() {
    let mut findings = Vec::new();
    for file in files(&[".md"]) {
        for (text, target) in links(&file) {
            if !is_elsewhere(&target) && !target.starts_with('#') && !target_path(&file, &target).exists() {
                findings.push(Finding(format!("{}: [{text}]({target})", file.path)));
            }
        }
    }
    holds("a link in the documents leads to a file of the tree", &findings);
}

/// What stands in a document's tables between backticks and looks like a path of the tree.
fn paths_in_tables(document: &SourceFile) -> Vec<String> {
    let rows = document.text.lines().filter(|line| line.starts_with('|'));
    let quoted = rows.flat_map(|line| line.split('`').skip(1).step_by(2));
    let is_path = |text: &&str| text.contains('/') && !text.contains(['*', ' ', '(', '<', '{', '$', '…']);
    quoted.filter(is_path).map(str::to_owned).collect()
}

#[test]
fn the_map_names_files_that_exist() {
    let mut findings = Vec::new();
    for document in files(&["CONTRIBUTING.md"]) {
        let paths = paths_in_tables(&document);
        assert!(paths.len() > 30, "{}: only {} paths", document.path, paths.len());
        let missing = paths.into_iter().filter(|path| !root().join(path).exists());
        findings.extend(missing.map(|path| Finding(format!("{}: `{path}`", document.path))));
    }
    holds("the table of where a change begins names files of the tree", &findings);
}

/// ARCHITECTURE.md names the tests that hold each invariant as links whose text is the test's name.
#[test]
fn the_tests_that_the_architecture_names_exist() {
    let documents = files(&["ARCHITECTURE.md"]);
    let architecture = documents.first().unwrap();
    let mut tests = 0;
    let mut findings = Vec::new();
    for (text, target) in links(architecture) {
        let Some(name) = text.strip_prefix('`').and_then(|t| t.strip_suffix('`')) else { continue };
        let is_test =
            [".rs", ".py", ".sh", "tests/run"].iter().any(|e| target.ends_with(e)) && !name.contains(['/', '.']);
        if !is_test {
            continue;
        }
        tests += 1;
        let text = std::fs::read_to_string(target_path(architecture, &target)).unwrap_or_default();
        if !text.contains(&format!("fn {name}("))
            && !text.contains(&format!("{name}:"))
            && !text.contains(&format!("def {name}("))
        {
            findings.push(Finding(format!("{target} has no test {name}")));
        }
    }
    assert!(tests >= 10, "only {tests} tests are named: each invariant has at least one");
    holds("a test that ARCHITECTURE.md names exists", &findings);
}

#[test]
fn decisions_are_numbered_and_listed() {
    let list = std::fs::read_to_string(root().join("docs/adr/README.md")).unwrap();
    let mut numbers = Vec::new();
    let mut findings = Vec::new();
    for file in files(&[".md"]).iter().filter(|f| f.path.starts_with("docs/adr/") && !f.path.ends_with("README.md")) {
        let name = file.path.trim_start_matches("docs/adr/");
        let (number, _) = name.split_once('-').unwrap_or((name, ""));
        if number.len() != 4 || !number.bytes().all(|b| b.is_ascii_digit()) || numbers.contains(&number.to_owned()) {
            findings.push(Finding(format!("{name}: its number is not four digits of its own")));
        }
        if !file.text.starts_with(&format!("# {number}. ")) {
            findings.push(Finding(format!("{name}: the first line is not `# {number}. <title>`")));
        }
        if !list.contains(name) {
            findings.push(Finding(format!("{name}: docs/adr/README.md does not list it")));
        }
        numbers.push(number.to_owned());
    }
    assert!(numbers.len() >= 8, "only {} decisions were found", numbers.len());
    holds("one decision a page, numbered and listed", &findings);
}

#[test]
fn every_guide_is_listed() {
    let list = std::fs::read_to_string(root().join("docs/README.md")).unwrap();
    let missing: Vec<_> = files(&[".md"])
        .iter()
        .filter_map(|f| f.path.strip_prefix("docs/"))
        .filter(|name| *name != "README.md" && !name.starts_with("adr/") && !list.contains(*name))
        .map(|name| Finding(format!("docs/{name}")))
        .collect();
    holds("docs/README.md lists every guide", &missing);
}

/// Names of metrics in the product's code, `logystera_<word>_<word>…`.
fn metric_names() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for file in files(&[".rs"])
        .iter()
        .filter(|f| f.path.contains("/src/") && !f.path.starts_with("tests/") && !f.path.starts_with("bench/"))
    {
        for (at, _) in file.text.match_indices("\"logystera_") {
            let name = file.text[at + 1..].split('"').next().unwrap_or_default();
            if name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
                names.insert(name.to_owned());
            }
        }
    }
    names
}

#[test]
fn every_metric_is_documented() {
    let guide = std::fs::read_to_string(root().join("docs/running.md")).unwrap();
    let names = metric_names();
    assert!(names.len() > 15, "only {names:?}");
    let missing: Vec<_> = names.iter().filter(|n| !has_word(&guide, n)).map(|n| Finding(n.clone())).collect();
    holds("docs/running.md tells every metric", &missing);
}

/// What stands in the tree must make sense on any machine.
#[test]
fn nothing_points_outside_the_tree() {
    let foreign = [
        concat!("/wo", "rk/"),
        concat!("/tmp/", "brief"),
        concat!("../sha", "red"),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
    ];
    let mut findings = Vec::new();
    for file in files(&[
        ".rs",
        ".md",
        ".toml",
        ".yaml",
        ".yml",
        ".py",
        ".php",
        ".sh",
        ".avsc",
        "justfile",
        "/run",
        "Dockerfile",
    ]) {
        for (number, line) in file.text.lines().enumerate() {
            for path in foreign.iter().filter(|p| line.contains(**p)) {
                findings.push(Finding(format!("{}:{}: {path}", file.path, number + 1)));
            }
        }
    }
    holds("no path of somebody's machine", &findings);
}

/// Names of the variants of every `Subcommand` in app/, in the command line's spelling.
fn subcommands() -> Vec<String> {
    let mut found = Vec::new();
    for file in files(&[".rs"]).iter().filter(|f| f.path.starts_with("app/src/")) {
        for (at, _) in file.text.match_indices("Subcommand)]") {
            let body = file.text[at..].split("\n}").next().unwrap_or_default();
            let variants =
                body.lines().filter_map(|l| l.strip_prefix("    ")).filter(|l| l.starts_with(char::is_uppercase));
            found.extend(variants.map(|l| kebab(l.split(['(', ' ', ',', '{']).next().unwrap_or_default())));
        }
    }
    found
}

fn kebab(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !out.is_empty() {
            out.push('-');
        }
        out.extend(c.to_lowercase());
    }
    out
}

#[test]
fn every_subcommand_is_documented() {
    let documents: String = files(&[".md"]).iter().map(|f| f.text.as_str()).collect();
    let commands = subcommands();
    assert!(commands.contains(&"up".to_owned()), "the subcommands were not found: {commands:?}");
    let missing: Vec<_> =
        commands.iter().filter(|name| !has_word(&documents, name)).map(|name| Finding(name.clone())).collect();
    holds("the documents show every subcommand", &missing);
    assert_eq!([kebab("RotateKey"), kebab("Up")], ["rotate-key", "up"]);
}
