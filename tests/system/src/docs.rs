//! The examples of the documentation.

use std::path::{Path, PathBuf};

/// A fenced block of a page.
pub struct Fence {
    /// The page, from the repository's root.
    pub page: String,
    /// The language that it names; empty for none.
    pub language: String,
    /// What stands in it.
    pub text: String,
}

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("two folders up").to_owned()
}

/// All fenced blocks of README.md, of docs/ and of infra/deploy, page by page.
pub fn fences() -> Vec<Fence> {
    let docs = std::fs::read_dir(root().join("docs")).expect("docs/").map(|entry| entry.expect("an entry").path());
    let mut pages: Vec<PathBuf> = docs.filter(|path| path.extension().is_some_and(|e| e == "md")).collect();
    pages.extend(["README.md", "infra/deploy/README.md"].map(|page| root().join(page)));
    pages.sort();
    pages.iter().flat_map(|page| of(page)).collect()
}

fn of(page: &Path) -> Vec<Fence> {
    let text = std::fs::read_to_string(page).expect("a page is UTF-8");
    let name = page.strip_prefix(root()).expect("below the root").display().to_string();
    let (mut found, mut open): (Vec<Fence>, bool) = (Vec::new(), false);
    for line in text.lines() {
        match line.strip_prefix("```") {
            Some(language) if !open => {
                found.push(Fence { page: name.clone(), language: language.to_owned(), text: String::new() });
                open = true;
            }
            Some(_) => open = false,
            None if open => {
                let fence = found.last_mut().expect("one is open");
                fence.text.push_str(line);
                fence.text.push('\n');
            }
            None => {}
        }
    }
    found
}

/// The one block of a page that has these words in it.
pub fn fence(page: &str, has: &str) -> Fence {
    let mut all = fences();
    all.retain(|fence| fence.page == page && fence.text.contains(has));
    assert_eq!(all.len(), 1, "{page}: blocks with {has:?}");
    all.remove(0)
}

/// The commands of a block: without prompts and what was answered to them, with lines that go on joined.
pub fn commands(fence: &Fence) -> Vec<String> {
    let text = fence.text.replace("\\\n", " ");
    let prompts = text.lines().any(|line| line.starts_with("$ "));
    let lines = text.lines().filter_map(|line| if prompts { line.strip_prefix("$ ") } else { Some(line) });
    lines.map(|line| line.split("  #").next().unwrap_or_default().trim().to_owned()).filter(|l| !l.is_empty()).collect()
}
