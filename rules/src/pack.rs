//! The default pack: rules for WordPress and Drupal sites, compiled in. The files stand beside `src/`.

use logystera_processor::core::RuleSet;

use crate::report::Diagnostic;
use crate::set::from_yaml;

/// The files of the default pack that have its rules: name and text.
pub const DEFAULT_PACK: [(&str, &str); 6] = [
    ("rules/access.yaml", include_str!("../access.yaml")),
    ("rules/code.yaml", include_str!("../code.yaml")),
    ("rules/cron.yaml", include_str!("../cron.yaml")),
    ("rules/mail.yaml", include_str!("../mail.yaml")),
    ("rules/monitoring.yaml", include_str!("../monitoring.yaml")),
    ("rules/web.yaml", include_str!("../web.yaml")),
];

/// The metrics of the default pack: name and text of their file.
pub const DEFAULT_METRICS: (&str, &str) = ("rules/metrics.yaml", include_str!("../metrics.yaml"));

/// What the file of metrics begins with.
const METRICS_HEAD: &str = "format: 1\nmetrics:\n";
/// What every file of rules begins with.
const HEAD: &str = "format: 1\nrules:\n";

/// The default pack as a rule set. A test reads it, so that a released binary has no error to return.
pub fn default_pack() -> Result<RuleSet, Vec<Diagnostic>> {
    let files: Vec<(&str, &str)> = DEFAULT_PACK.into_iter().chain([DEFAULT_METRICS]).collect();
    from_yaml(&files)
}

/// The default pack as one file: what each file of it says of itself stands before its rules.
pub fn pack_yaml() -> String {
    let parts = DEFAULT_PACK.iter().filter_map(|(_, text)| text.split_once(HEAD));
    let rules = parts.fold(HEAD.to_owned(), |whole, (about, rules)| whole + "\n" + about + rules);
    let (about, metrics) = DEFAULT_METRICS.1.split_once(METRICS_HEAD).unwrap_or_default();
    rules + "\n" + about + "metrics:\n" + metrics
}

/// These rules of the default pack as a file; the error is a name that it has not.
pub fn rules_yaml(names: &[String]) -> Result<String, &str> {
    let all: Vec<&str> =
        DEFAULT_PACK.iter().filter_map(|(_, text)| text.split_once(HEAD)).flat_map(|(_, rules)| split(rules)).collect();
    let mut yaml = HEAD.to_owned();
    for name in names {
        let head = format!("- name: {name}\n");
        yaml.push_str(all.iter().find(|rule| rule.starts_with(&head)).ok_or(name.as_str())?);
    }
    Ok(yaml)
}

/// The rules of a file, each from its name on.
fn split(rules: &str) -> Vec<&str> {
    let mut starts: Vec<usize> = rules.match_indices("\n- name: ").map(|(before, _)| before + 1).collect();
    starts.insert(0, 0);
    let ends = starts.iter().skip(1).copied().chain([rules.len()]);
    starts.iter().zip(ends).map(|(start, end)| &rules[*start..end]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_the_pack() {
        let pack = default_pack().unwrap();
        let shown = pack_yaml();
        assert_eq!(from_yaml(&[("shown.yaml", &shown)]).unwrap().digest, pack.digest);
        for (_, text) in DEFAULT_PACK.into_iter().chain([DEFAULT_METRICS]) {
            assert!(shown.contains(text.lines().next().unwrap()), "a file says what it is about");
        }
        for rule in &pack.rules {
            let alone = from_yaml(&[("one.yaml", &rules_yaml(&[rule.name.to_string()]).unwrap())]).unwrap();
            let revisions: Vec<_> = alone.rules.iter().map(|rule| &rule.revision).collect();
            assert_eq!(revisions, [&rule.revision]);
        }
        assert_eq!(rules_yaml(&["no-such-rule".to_owned()]), Err("no-such-rule"));
    }
}
