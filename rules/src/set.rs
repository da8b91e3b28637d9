//! A set of rule files as a whole: what concerns them together, and what they become.

use std::collections::BTreeMap;

use logystera_processor::core::{Condition, Rule, RuleSet, StateLimits};
use logystera_processor::task::NoRuleSet;
use logystera_schemas::catalogue::{SignalType, SignalTypes};
use logystera_schemas::control::RuleSet as RuleSetRecord;
use logystera_schemas::ids::Sha256Digest;
use logystera_schemas::limits::{
    RULE_FILE_BYTES_MAX, RULE_SET_BYTES_MAX, RULES_MAX, SITE_GROUPS_ALLOWED_MAX, SITE_STATE_BYTES_ALLOWED_MAX,
    SITE_STATE_BYTES_ALLOWED_MIN,
};

use crate::canonical::Json;
use crate::code::Code;
use crate::cost::WorstCase;
use crate::definition::{self, Defined};
use crate::foreign;
use crate::lint;
use crate::metric_set::Metrics;
use crate::read::{self, Keys};
use crate::report::{Diagnostic, Level, Place, Report};
use crate::trial::{self, RuleTests};
use crate::yaml::{self, Node};

/// Version of the rule format.
const FORMAT: i64 = 1;
const KEYS: [&str; 5] = ["format", "rules", "metrics", "limits", "disabled"];

/// What came of reading rule files.
#[derive(Debug)]
pub struct Checked {
    /// The set. None: there are errors.
    pub set: Option<RuleSet>,
    /// The rules that have tests, in the order of the files.
    pub tests: Vec<RuleTests>,
    /// Errors and warnings, in the order of the files.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads the files of a rule set, each with its name for errors, with the tests that stand in them, and looks for what may
/// not be meant.
pub fn check(sources: &[(&str, &str)]) -> Checked {
    read_set(sources, true, false)
}

fn read_set(sources: &[(&str, &str)], with_care: bool, is_published: bool) -> Checked {
    let mut reader = SetReader { with_care, ..SetReader::default() };
    let mut reports: Vec<Report<'_>> = sources.iter().map(|(name, text)| Report::new(name, text)).collect();
    for ((_, text), report) in sources.iter().zip(&mut reports) {
        report.is_published = is_published;
        reader.read(text, report);
    }
    let fine = |reports: &[Report<'_>]| reports.iter().all(|report| report.count() == 0);
    let tests = std::mem::take(&mut reader.tests);
    let set = if fine(&reports) { reader.finish(&mut reports) } else { None };
    let set = set.filter(|_| fine(&reports));
    Checked { set, tests, diagnostics: reports.into_iter().flat_map(Report::into_diagnostics).collect() }
}

/// The same of files as they were read: name and bytes.
pub fn check_files(files: &[(String, Vec<u8>)]) -> Checked {
    let (mut texts, mut unreadable) = (Vec::new(), Vec::new());
    for (name, bytes) in files {
        match decode(name, bytes) {
            Ok(text) => texts.push((name.as_str(), text)),
            Err(error) => unreadable.push(*error),
        }
    }
    let mut checked = check(&texts);
    if !unreadable.is_empty() {
        checked.set = None;
        checked.diagnostics.splice(0..0, unreadable);
    }
    checked
}

/// Reads the files of a rule set, each with its name for errors. If anything is wrong, gives all errors of all files, in
/// the order of the files.
pub fn from_yaml(sources: &[(&str, &str)]) -> Result<RuleSet, Vec<Diagnostic>> {
    read_all(sources, false)
}

fn read_all(sources: &[(&str, &str)], is_published: bool) -> Result<RuleSet, Vec<Diagnostic>> {
    let Checked { set, mut diagnostics, .. } = read_set(sources, false, is_published);
    set.ok_or_else(|| {
        diagnostics.retain(|diagnostic| diagnostic.level == Level::Error);
        diagnostics
    })
}

/// Reads a rule set from its canonical form, as it stands in `control`. The set keeps this very body and its digest.
pub fn from_canonical(body: &str) -> Result<RuleSet, Vec<Diagnostic>> {
    let set = read_all(&[("rule set", body)], true)?;
    Ok(RuleSet { digest: Sha256Digest::of(body.as_bytes()), body: body.to_owned(), ..set })
}

/// For the engine, the rule set whose body topic `control` has. None: it has none.
pub fn published(body: Option<&str>) -> Result<RuleSet, NoRuleSet> {
    from_canonical(body.ok_or(NoRuleSet::Missing)?).map_err(|errors| NoRuleSet::Unreadable(errors.len()))
}

/// For the engine, the rule set of a record of topic `control`. None: it has none.
pub fn recorded(record: Option<&RuleSetRecord>) -> Result<RuleSet, NoRuleSet> {
    published(record.and_then(|record| std::str::from_utf8(&record.body.0).ok()))
}

/// The text of a file. An error if it has too many bytes, or they are not UTF-8. The caller need not read more than one
/// byte beyond `RULE_FILE_BYTES_MAX`.
pub(crate) fn decode<'a>(file: &str, bytes: &'a [u8]) -> Result<&'a str, Box<Diagnostic>> {
    if bytes.len() > RULE_FILE_BYTES_MAX {
        let problem = format!("the file has more than {RULE_FILE_BYTES_MAX} bytes");
        let mut report = Report::new(file, "");
        report.error(Code::FileTooBig, Place::START, problem).help("split it into several files");
        return Err(Box::new(report.into_diagnostics().remove(0)));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        // The bytes before the error are UTF-8: this loses nothing of them.
        let good = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        let line = good.bytes().filter(|b| *b == b'\n').count() + 1;
        let column = good.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let mut report = Report::new(file, &good);
        report
            .error(Code::NotUtf8, Place { line, column, width: 1 }, "this is not UTF-8")
            .help("save the file as UTF-8");
        Box::new(report.into_diagnostics().remove(0))
    })
}

/// The parts of a set as its files are read. The numbers are those of the files.
#[derive(Default)]
struct SetReader {
    rules: Vec<(usize, Defined)>,
    metrics: Metrics,
    limits: Option<(usize, Place, StateLimits)>,
    disabled: Option<(usize, SignalTypes)>,
    /// Names of the files so far.
    files: Vec<String>,
    /// Whether tests and what may not be meant are asked for: not by those who read what was published.
    with_care: bool,
    tests: Vec<RuleTests>,
}

impl SetReader {
    fn read(&mut self, text: &str, report: &mut Report<'_>) {
        let file = self.files.len();
        self.files.push(report.file.to_owned());
        let Some(root) = yaml::read(text, report) else { return };
        if foreign::recognise(&root, report) {
            return;
        }
        let Some(keys) = Keys::of(&root, "a rule file", &KEYS, &[], report) else { return };
        if let Some(node) = keys.need("format", "begin with `format: 1`", report)
            && let Some(format) = read::int(node, "`format`", 1..=i64::MAX, report)
            && format != FORMAT
        {
            report.error(
                Code::NewerFormat,
                node.place,
                format!("format {format} is newer than this version, which reads {FORMAT}"),
            );
        }
        if let Some((place, node)) = keys.entry("limits") {
            match self.limits {
                Some((first, ..)) => self.only_one(place, "limits", first, report),
                None => self.limits = limits(node, report).map(|limits| (file, place, limits)),
            }
        }
        if let Some((place, node)) = keys.entry("disabled") {
            match self.disabled {
                Some((first, _)) => self.only_one(place, "disabled", first, report),
                None => self.disabled = disabled(node, report).map(|types| (file, types)),
            }
        }
        if let Some(node) = keys.get("rules") {
            self.read_rules(file, node, report);
        }
        if let Some(node) = keys.get("metrics") {
            self.metrics.read(file, node, report);
        }
    }

    fn only_one(&self, place: Place, key: &str, first: usize, report: &mut Report<'_>) {
        let error = report.error(Code::TwiceInSet, place, format!("`{key}` stands in two files"));
        error.label(format!("first in {}", self.files[first])).help("a rule set has one: keep one of them");
    }

    fn read_rules(&mut self, file: usize, node: &Node, report: &mut Report<'_>) {
        let Some(items) = read::list(node, "`rules`", RULES_MAX, report) else { return };
        for item in items {
            if let Some(defined) = definition::read(item, report) {
                if self.with_care {
                    lint::rule(item, &defined.rule, report);
                    self.tests.extend(trial::tests_of(item, &defined.json, &defined.rule, report.file, set_of_one));
                }
                self.rules.push((file, defined));
            }
        }
        if self.rules.len() > RULES_MAX {
            report.error(Code::SetTooBig, node.place, format!("the set has more than {RULES_MAX} rules"));
            self.rules.truncate(RULES_MAX);
        }
    }

    /// Checks what concerns the set as a whole, and builds it.
    fn finish(mut self, reports: &mut [Report<'_>]) -> Option<RuleSet> {
        self.check_unique(reports);
        if self.with_care {
            self.check_alike(reports);
        }
        let limits = self.limits.map_or_else(StateLimits::default, |(.., limits)| limits);
        self.check_standing(&limits, reports);
        let metric_bytes = self.metrics.check(&self.files, &limits, reports);
        self.check_cost(&limits, metric_bytes, reports);
        let disabled = self.disabled.map(|(_, types)| types).unwrap_or_default();
        self.rules.sort_by(|(_, a), (_, b)| a.rule.name.cmp(&b.rule.name));
        let (rules, json): (Vec<Rule>, Vec<Json>) = self.rules.into_iter().map(|(_, d)| (d.rule, d.json)).unzip();
        let (metrics, metrics_json) = self.metrics.finish();
        let body = canonical_set(&limits, disabled, metrics_json, json).to_string();
        if body.len() > RULE_SET_BYTES_MAX {
            let problem =
                format!("the set has {} bytes in its canonical form; it has at most {RULE_SET_BYTES_MAX}", body.len());
            reports
                .last_mut()?
                .error(Code::SetTooBig, Place::START, problem)
                .help("shorten lists and tests, or take rules out");
            return None;
        }
        Some(RuleSet { digest: Sha256Digest::of(body.as_bytes()), body, rules, metrics, limits, disabled })
    }

    fn check_unique(&self, reports: &mut [Report<'_>]) {
        let mut names = BTreeMap::new();
        let mut blind = None;
        for (file, Defined { rule, place, .. }) in &self.rules {
            let here = format!("{}:{}:{}", self.files[*file], place.line, place.column);
            if let Some(first) = names.insert(&rule.name, here.clone()) {
                let error =
                    reports[*file].error(Code::SameName, *place, format!("two rules are called `{}`", rule.name));
                error.label(format!("the first is at {first}")).help("give one of them another name");
            }
            if matches!(rule.condition, Condition::Blind { .. })
                && let Some(first) = blind.replace(here)
            {
                let error = reports[*file].error(Code::TwoSilences, *place, "two rules with `blind_after`");
                let error = error.label(format!("the first is at {first}"));
                error.help("a silent site is one alert: keep one of them");
            }
        }
    }

    /// Two rules that count the same and wait as long tell the same twice.
    fn check_alike(&self, reports: &mut [Report<'_>]) {
        let mut seen = BTreeMap::new();
        // Of rules about the whole site there is one.
        for (file, Defined { rule, place, .. }) in self.rules.iter().filter(|(_, d)| d.rule.signal.is_some()) {
            let first = *seen.entry((rule.counts.0, rule.for_ms, rule.severity as u8)).or_insert(rule);
            if first.name != rule.name {
                let problem = format!("`{}` is true whenever `{}` is", rule.name, first.name);
                let help = "both alert of the same: take one out, or let them differ in what they count";
                reports[*file].warn(Code::SameAsAnother, *place, problem, help);
            }
        }
    }

    /// Groups that stand from the start make no room for others, nor for each other.
    fn check_standing(&self, limits: &StateLimits, reports: &mut [Report<'_>]) {
        let mut standing = 0;
        for (file, Defined { rule, place, .. }) in &self.rules {
            let Some(groups) = definition::expected_groups(rule) else { continue };
            standing += groups;
            let allowed = [(groups, limits.rule_groups, "rule_groups"), (standing, limits.site_groups, "site_groups")];
            if let Some((groups, allowed, key)) = allowed.into_iter().find(|(groups, allowed, _)| groups > allowed) {
                let problem = format!("with `{}`, {groups} groups are expected; `{key}` allows {allowed}", rule.name);
                reports[*file].error(Code::TooCostly, *place, problem).help("expect fewer, or raise the limit");
            }
        }
    }

    /// What the metrics can take is no rule's.
    fn check_cost(&self, limits: &StateLimits, metric_bytes: usize, reports: &mut [Report<'_>]) {
        let site_bytes = limits.site_bytes.saturating_sub(metric_bytes);
        for (file, Defined { rule, place, .. }) in &self.rules {
            let worst = WorstCase::of(rule, limits);
            if *limits != StateLimits::default() && worst.rule_bytes > site_bytes {
                let problem = format!(
                    "`{}` can take {} bytes, {} groups of {}; `limits` gives the site {site_bytes}{}",
                    rule.name,
                    worst.rule_bytes,
                    worst.groups,
                    worst.group_bytes,
                    if metric_bytes > 0 { " besides its metrics" } else { "" }
                );
                let help = format!(
                    "at most `rule_groups: {}`, or at least `site_bytes: {}`",
                    site_bytes / worst.group_bytes,
                    worst.rule_bytes + metric_bytes
                );
                reports[*file].error(Code::TooCostly, *place, problem).help(help);
            }
        }
    }
}

fn limits(node: &Node, report: &mut Report<'_>) -> Option<StateLimits> {
    let keys = Keys::of(node, "`limits`", &["rule_groups", "site_groups", "site_bytes"], &[], report)?;
    let default = StateLimits::default();
    let mut number = |key: &str, min: usize, max: usize, default: usize| match keys.get(key) {
        Some(node) => read::int(node, &format!("`{key}`"), min as i64..=max as i64, report).map(|n| n as usize),
        None => Some(default),
    };
    let rule_groups = number("rule_groups", 1, SITE_GROUPS_ALLOWED_MAX, default.rule_groups);
    let site_groups = number("site_groups", 1, SITE_GROUPS_ALLOWED_MAX, default.site_groups);
    let site_bytes =
        number("site_bytes", SITE_STATE_BYTES_ALLOWED_MIN, SITE_STATE_BYTES_ALLOWED_MAX, default.site_bytes);
    let limits = StateLimits { rule_groups: rule_groups?, site_groups: site_groups?, site_bytes: site_bytes? };
    if limits.rule_groups > limits.site_groups {
        let place = keys.get("rule_groups").map_or(node.place, |n| n.place);
        let problem =
            format!("`rule_groups`, {}, is more than `site_groups`, {}", limits.rule_groups, limits.site_groups);
        report.error(Code::LimitsContradict, place, problem).help("one rule must fit its site");
        return None;
    }
    Some(limits)
}

fn disabled(node: &Node, report: &mut Report<'_>) -> Option<SignalTypes> {
    let known: Vec<&str> = SignalType::all().map(SignalType::name).collect();
    let items = read::list(node, "`disabled`", known.len(), report)?;
    let read: Vec<_> = items.iter().map(|item| read::one_of(item, "a disabled type", &known, report)).collect();
    let mut types = SignalTypes::default();
    for place in read {
        types.insert(SignalType::from_index(place?)?);
    }
    Some(types)
}

/// The canonical form of a set of one rule.
fn set_of_one(rule: Json) -> String {
    canonical_set(&StateLimits::default(), SignalTypes::default(), Vec::new(), vec![rule]).to_string()
}

fn canonical_set(limits: &StateLimits, disabled: SignalTypes, metrics: Vec<Json>, rules: Vec<Json>) -> Json {
    let number = |n: usize| Json::Int(n as i64);
    let limits = Json::map([
        ("rule_groups", number(limits.rule_groups)),
        ("site_groups", number(limits.site_groups)),
        ("site_bytes", number(limits.site_bytes)),
    ]);
    let mut keys = vec![
        ("format", Json::Int(FORMAT)),
        ("limits", limits),
        ("disabled", Json::list(disabled.iter().map(|t| Json::text(t.name())))),
        ("rules", Json::List(rules)),
    ];
    keys.extend((!metrics.is_empty()).then_some(("metrics", Json::List(metrics))));
    Json::map(keys)
}
