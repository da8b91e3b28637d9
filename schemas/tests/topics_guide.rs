//! The guide to the topics names every record and the bytes that it begins with.

use logystera_schemas::schema::{Kind, fingerprint};

#[test]
fn the_guide_has_every_record_and_its_first_bytes() {
    let guide = include_str!("../../docs/topics.md");
    let mut missing = Vec::new();
    for kind in Kind::ALL {
        let head = fingerprint(*kind).swap_bytes();
        let name = kind.source().split("\"name\": \"").nth(1).and_then(|rest| rest.split('"').next());
        let row = format!("| `{}` | `c301{head:016x}` |", name.unwrap_or_default());
        if !guide.contains(&row) {
            missing.push(row);
        }
    }
    assert!(missing.is_empty(), "docs/topics.md lacks:\n{}", missing.join("\n"));
}
