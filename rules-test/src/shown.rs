//! Results for a terminal, and as `JUnit` XML, which build servers read. Writing to a string does not fail.

use std::fmt::Write;

use logystera_rules::{WIDTH, wrapped};
use logystera_schemas::text::counted;

use crate::run::{RuleResult, TestResult};

/// Before each line of what is said of an expectation.
const LEAD: &str = "      ";

/// The results for a terminal; `without` are the rules that have no tests.
pub fn shown(results: &[RuleResult], without: &[&str]) -> String {
    let mut text = String::new();
    for (result, test) in failed(results) {
        let _ = writeln!(text, "FAILED {}: {}", result.rule, test.name);
        for failure in &test.failures {
            let (line, column) = failure.place;
            let _ = writeln!(text, "  --> {}:{line}:{column}", result.file);
            for line in wrapped(&failure.said, WIDTH - LEAD.len()) {
                let _ = writeln!(text, "{LEAD}{line}");
            }
        }
        text.push('\n');
    }
    let never: Vec<&str> = never_firing(results).collect();
    if !never.is_empty() {
        let _ = writeln!(text, "no test makes it fire: {}", never.join(", "));
    }
    if !without.is_empty() {
        let _ = writeln!(text, "no tests: {}", without.join(", "));
    }
    let tests: usize = results.iter().map(|result| result.tests.len()).sum();
    let bad = failed(results).count();
    let outcome = if bad == 0 { "all passed".to_owned() } else { format!("{} passed, {bad} failed", tests - bad) };
    text + &format!(
        "{} of {}: {outcome}\n",
        counted(tests as u64, "test", "tests"),
        counted(results.len() as u64, "rule", "rules")
    )
}

fn failed(results: &[RuleResult]) -> impl Iterator<Item = (&RuleResult, &TestResult)> {
    results.iter().flat_map(|result| {
        let tests = result.tests.iter().filter(|test| !test.failures.is_empty());
        tests.map(move |test| (result, test))
    })
}

/// Rules whose tests never see them fire: a condition that is never true could be any.
fn never_firing(results: &[RuleResult]) -> impl Iterator<Item = &str> {
    results.iter().filter(|result| !result.tests.iter().any(|test| test.fired)).map(|result| result.rule.as_str())
}

/// The results as `JUnit` XML: a suite a rule, a case a test.
pub fn junit(results: &[RuleResult]) -> String {
    let count = |result: &RuleResult| result.tests.iter().filter(|test| !test.failures.is_empty()).count();
    let tests: usize = results.iter().map(|result| result.tests.len()).sum();
    let failures: usize = results.iter().map(count).sum();
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"logystera rules test\" tests=\"{tests}\" failures=\"{failures}\">\n"
    );
    for result in results {
        let (rule, file) = (escaped(&result.rule), escaped(&result.file));
        let (tests, failures) = (result.tests.len(), count(result));
        let _ =
            writeln!(xml, "  <testsuite name=\"{rule}\" file=\"{file}\" tests=\"{tests}\" failures=\"{failures}\">");
        for test in &result.tests {
            let _ = write!(xml, "    <testcase classname=\"{rule}\" name=\"{}\" file=\"{file}\"", escaped(&test.name));
            if test.failures.is_empty() {
                xml += "/>\n";
                continue;
            }
            xml += ">\n";
            for failure in &test.failures {
                let place = format!("{file}:{}:{}", failure.place.0, failure.place.1);
                let _ = writeln!(xml, "      <failure message=\"{}\">{place}</failure>", escaped(&failure.said));
            }
            xml += "    </testcase>\n";
        }
        xml += "  </testsuite>\n";
    }
    xml + "</testsuites>\n"
}

/// Text in XML. Names have no control characters: the reader of rules refuses them.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
