//! No files of a crate use each other in a circle.

use std::collections::BTreeSet;

use logystera_tidy::circles::{circles, uses};
use logystera_tidy::{Finding, SourceFile, files, holds, members};

#[test]
fn no_files_use_each_other_in_a_circle() {
    let files = files(&[".rs"]);
    let mut findings = Vec::new();
    for member in members() {
        let src = format!("{member}/src/");
        let uses = uses(&src, &files);
        assert!(uses.values().any(|of| !of.is_empty()), "{src} has no file that uses another");
        findings.extend(circles(&uses).iter().map(|way| Finding(way.join(" -> "))));
    }
    holds("files that use each other cannot be read alone", &findings);
}

fn planted(sources: &[(&str, &str)]) -> Vec<SourceFile> {
    sources.iter().map(|(path, text)| SourceFile { path: (*path).to_owned(), text: (*text).to_owned() }).collect()
}

#[test]
fn a_name_is_used_where_it_is_defined() {
    let files = planted(&[
        ("x/src/lib.rs", "mod a; pub mod b; mod tests; pub use b::deep::Deep;"),
        (
            "x/src/a.rs",
            "use crate::b::{Thing, deep}; use crate::Deep; fn f(_: Thing) { deep::g(); let s = String::new(); }",
        ),
        ("x/src/b/mod.rs", "pub mod deep; pub use deep::Thing; record! { pub struct Seen { a: u32 } }"),
        (
            "x/src/b/deep.rs",
            "pub struct Thing; pub struct Deep; pub fn g() {} #[cfg(test)] mod tests { use crate::a::f; }",
        ),
        ("x/src/b/tests.rs", "use crate::a::f;"),
    ]);
    let uses = uses("x/src/", &files);
    let of = |file: &str| uses[file].iter().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(of("x/src/a.rs"), ["x/src/b/deep.rs"], "however it was passed on");
    assert_eq!(
        (of("x/src/b/mod.rs"), of("x/src/b/deep.rs")),
        (vec![], vec![]),
        "a facade uses nothing, and tests are left out"
    );
    assert_eq!(circles(&uses), Vec::<Vec<String>>::new());
}

#[test]
fn a_circle_is_found_over_others_and_through_a_parent() {
    let files = planted(&[
        ("x/src/lib.rs", "mod a; mod b; mod c; mod d; mod e; mod f;"),
        ("x/src/a.rs", "use crate::b; pub fn f() { b::g() }"),
        ("x/src/b.rs", "pub fn g() { super::c::h() }"),
        ("x/src/c.rs", "use super::a as first; pub fn h() { first::f() }"),
        ("x/src/d/mod.rs", "mod child; pub struct Parent; fn f() { child::f() }"),
        ("x/src/d/child.rs", "use super::*; pub fn f(_: Parent) {}"),
        ("x/src/e.rs", "use crate::f::Made; record! { pub struct Other { a: u32 } }"),
        ("x/src/f.rs", "use crate::e::Other; record! { pub struct Made { a: Other } }"),
    ]);
    let found = circles(&uses("x/src/", &files));
    assert_eq!(
        found,
        [
            vec!["x/src/a.rs", "x/src/b.rs", "x/src/c.rs"],
            vec!["x/src/d/child.rs", "x/src/d/mod.rs"],
            vec!["x/src/e.rs", "x/src/f.rs"]
        ]
    );
    assert_eq!(found.iter().flatten().collect::<BTreeSet<_>>().len(), 7);
}
