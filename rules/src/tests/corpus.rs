//! Files that somebody wrote who knew another tool, or a later version (`tests/wrong`), and rules that never do what they
//! say (`tests/silent`): none passes without a word.

use std::path::Path;

use crate::{Checked, Code, check};

/// What is said of each file of a folder of `tests/`.
fn said(folder: &str) -> Vec<(String, Checked)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut names: Vec<String> = std::fs::read_dir(&path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let read = |name: String| {
        let text = std::fs::read_to_string(path.join(&name)).unwrap();
        let checked = check(&[(&name, &text)]);
        let shown: Vec<String> = checked.diagnostics.iter().map(ToString::to_string).collect();
        insta::with_settings!({snapshot_path => "../../tests/snapshots", prepend_module_to_snapshot => false, omit_expression => true}, {
            insta::assert_snapshot!(format!("{folder}-{}", name.trim_end_matches(".yaml")), shown.join("\n\n"));
        });
        (name, checked)
    };
    names.into_iter().map(read).collect()
}

#[test]
fn what_is_written_for_other_tools_is_refused_with_the_way_out() {
    let said = said("wrong");
    assert!(said.len() > 30);
    for (name, checked) in said {
        // A `*` stands in paths for what is left out: such a rule may once have been published.
        assert!(checked.set.is_none() != (name == "wildcard.yaml"), "{name} is accepted");
        assert!(!checked.diagnostics.is_empty(), "{name}: not a word");
        assert!(checked.diagnostics.iter().all(|d| d.help.is_some() || !d.label.is_empty()), "{name}: no way out");
    }
}

#[test]
fn a_file_of_another_tool_is_one_error() {
    for (name, text, code) in [
        ("sigma", include_str!("../../tests/wrong/_sigma.yaml"), Code::SigmaRule),
        ("prometheus", include_str!("../../tests/wrong/_prom.yaml"), Code::PrometheusRules),
        ("an operator's", "kind: PrometheusRule\nspec:\n  groups: []\n", Code::PrometheusRules),
        ("one rule", "alert: HighErrors\nexpr: up == 0\n", Code::PrometheusRules),
    ] {
        let codes: Vec<Code> = check(&[(name, text)]).diagnostics.iter().map(|d| d.code).collect();
        assert_eq!(codes, [code], "{name}");
    }
    // With a `format` it is meant for us.
    let codes: Vec<Code> =
        check(&[("ours", "format: 1\ngroups: [{rules: []}]\n")]).diagnostics.iter().map(|d| d.code).collect();
    assert_eq!(codes, [Code::UnknownKey]);
}

#[test]
fn what_never_does_what_it_says_is_warned_of() {
    for (name, checked) in said("silent") {
        // None of them has a severity, which only one is about. What a test says wrong, running it shows. Since sign-ins
        // have an outcome more, `not-everything` leaves something.
        let other = checked.diagnostics.iter().any(|diagnostic| diagnostic.code != Code::NoSeverity);
        assert!(
            other != ["severity-missing.yaml", "test-wrong.yaml", "not-everything.yaml"].contains(&name.as_str()),
            "{name}"
        );
    }
}
