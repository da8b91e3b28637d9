//! A set of rule files as a whole: what concerns them together, and what they become.

use std::collections::BTreeMap;

use logystera_processor::core::{Condition, Rule, RuleSet, StateLimits};
use logystera_processor::task::NoRuleSet;
use logystera_schemas::catalogue::{SignalType, SignalTypes};
use logystera_schemas::ids::Sha256Digest;
use logystera_schemas::limits::{
    RULE_FILE_BYTES_MAX, RULE_SET_BYTES_MAX, RULES_MAX, SITE_GROUPS_ALLOWED_MAX, SITE_STATE_BYTES_ALLOWED_MAX,
    SITE_STATE_BYTES_ALLOWED_MIN,
};

use crate::canonical::Json;
use crate::cost::WorstCase;
use crate::definition::{self, Defined};
use crate::read::{self, Keys, Later};
use crate::report::{Place, Report, RuleError};
use crate::yaml::{self, Node};

/// Version of the rule format.
const FORMAT: i64 = 1;
const KEYS: [&str; 4] = ["format", "rules", "limits", "disabled"];
const LATER: [Later; 2] =
    [("metrics", "metrics come in a later version"), ("snapshots", "snapshots come in a later version")];

/// Reads the files of a rule set, each with its name for errors. If anything is wrong, gives all errors of all files, in
/// the order of the files.
pub fn from_yaml(sources: &[(&str, &str)]) -> Result<RuleSet, Vec<RuleError>> {
    read_all(sources, false)
}

fn read_all(sources: &[(&str, &str)], is_published: bool) -> Result<RuleSet, Vec<RuleError>> {
    let mut reader = SetReader::default();
    let mut reports: Vec<Report<'_>> = sources.iter().map(|(name, text)| Report::new(name, text)).collect();
    for ((_, text), report) in sources.iter().zip(&mut reports) {
        report.is_published = is_published;
        reader.read(text, report);
    }
    if reports.iter().all(|report| report.count() == 0) {
        match reader.finish(&mut reports) {
            Some(set) if reports.iter().all(|report| report.count() == 0) => return Ok(set),
            _ => {}
        }
    }
    Err(reports.into_iter().flat_map(Report::into_errors).collect())
}

/// Reads a rule set from its canonical form, as it stands in `control`. The set keeps this very body and its digest.
pub fn from_canonical(body: &str) -> Result<RuleSet, Vec<RuleError>> {
    let set = read_all(&[("rule set", body)], true)?;
    Ok(RuleSet { digest: Sha256Digest::of(body.as_bytes()), body: body.to_owned(), ..set })
}

/// For the engine, the rule set whose body topic `control` has. None: it has none.
pub fn published(body: Option<&str>) -> Result<RuleSet, NoRuleSet> {
    from_canonical(body.ok_or(NoRuleSet::Missing)?).map_err(|errors| NoRuleSet::Unreadable(errors.len()))
}

/// The text of a file. An error if it has too many bytes, or they are not UTF-8. The caller need not read more than one
/// byte beyond `RULE_FILE_BYTES_MAX`.
pub fn decode<'a>(file: &str, bytes: &'a [u8]) -> Result<&'a str, RuleError> {
    if bytes.len() > RULE_FILE_BYTES_MAX {
        let problem = format!("the file has more than {RULE_FILE_BYTES_MAX} bytes");
        let mut report = Report::new(file, "");
        report.error(Place::START, problem).help("split it into several files");
        return Err(report.into_errors().remove(0));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        // The bytes before the error are UTF-8: this loses nothing of them.
        let good = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        let line = good.bytes().filter(|b| *b == b'\n').count() + 1;
        let column = good.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let mut report = Report::new(file, &good);
        report.error(Place { line, column, width: 1 }, "this is not UTF-8").help("save the file as UTF-8");
        report.into_errors().remove(0)
    })
}

/// The parts of a set as its files are read. The numbers are those of the files.
#[derive(Default)]
struct SetReader {
    rules: Vec<(usize, Defined)>,
    limits: Option<(usize, Place, StateLimits)>,
    disabled: Option<(usize, SignalTypes)>,
    /// Names of the files so far.
    files: Vec<String>,
}

impl SetReader {
    fn read(&mut self, text: &str, report: &mut Report<'_>) {
        let file = self.files.len();
        self.files.push(report.file.to_owned());
        let Some(root) = yaml::read(text, report) else { return };
        let Some(keys) = Keys::of(&root, "a rule file", &KEYS, &LATER, report) else { return };
        if let Some(node) = keys.need("format", "begin with `format: 1`", report)
            && let Some(format) = read::int(node, "`format`", 1..=i64::MAX, report)
            && format != FORMAT
        {
            report.error(node.place, format!("format {format} is newer than this version, which reads {FORMAT}"));
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
    }

    fn only_one(&self, place: Place, key: &str, first: usize, report: &mut Report<'_>) {
        let error = report.error(place, format!("`{key}` stands in two files"));
        error.label(format!("first in {}", self.files[first])).help("a rule set has one: keep one of them");
    }

    fn read_rules(&mut self, file: usize, node: &Node, report: &mut Report<'_>) {
        let Some(items) = read::list(node, "`rules`", RULES_MAX, report) else { return };
        for item in items {
            if let Some(defined) = definition::read(item, report) {
                self.rules.push((file, defined));
            }
        }
        if self.rules.len() > RULES_MAX {
            report.error(node.place, format!("the set has more than {RULES_MAX} rules"));
            self.rules.truncate(RULES_MAX);
        }
    }

    /// Checks what concerns the set as a whole, and builds it.
    fn finish(mut self, reports: &mut [Report<'_>]) -> Option<RuleSet> {
        self.check_unique(reports);
        let limits = self.limits.map_or_else(StateLimits::default, |(.., limits)| limits);
        self.check_cost(&limits, reports);
        let disabled = self.disabled.map(|(_, types)| types).unwrap_or_default();
        self.rules.sort_by(|(_, a), (_, b)| a.rule.name.cmp(&b.rule.name));
        let (rules, json): (Vec<Rule>, Vec<Json>) = self.rules.into_iter().map(|(_, d)| (d.rule, d.json)).unzip();
        let body = canonical_set(&limits, disabled, json).to_string();
        if body.len() > RULE_SET_BYTES_MAX {
            let problem =
                format!("the set has {} bytes in its canonical form; it has at most {RULE_SET_BYTES_MAX}", body.len());
            reports.last_mut()?.error(Place::START, problem).help("shorten lists and tests, or take rules out");
            return None;
        }
        Some(RuleSet { digest: Sha256Digest::of(body.as_bytes()), body, rules, limits, disabled })
    }

    fn check_unique(&self, reports: &mut [Report<'_>]) {
        let mut names = BTreeMap::new();
        let mut blind = None;
        for (file, Defined { rule, place, .. }) in &self.rules {
            let here = format!("{}:{}:{}", self.files[*file], place.line, place.column);
            if let Some(first) = names.insert(&rule.name, here.clone()) {
                let error = reports[*file].error(*place, format!("two rules are called `{}`", rule.name));
                error.label(format!("the first is at {first}")).help("give one of them another name");
            }
            if matches!(rule.condition, Condition::Blind { .. })
                && let Some(first) = blind.replace(here)
            {
                let error = reports[*file].error(*place, "two rules with `blind_after`");
                let error = error.label(format!("the first is at {first}"));
                error.help("a silent site is one alert: keep one of them");
            }
        }
    }

    fn check_cost(&self, limits: &StateLimits, reports: &mut [Report<'_>]) {
        for (file, Defined { rule, place, .. }) in &self.rules {
            let worst = WorstCase::of(rule, limits);
            if *limits != StateLimits::default() && worst.rule_bytes > limits.site_bytes {
                let problem = format!(
                    "`{}` can take {} bytes, {} groups of {}; `limits` gives the site {}",
                    rule.name, worst.rule_bytes, worst.groups, worst.group_bytes, limits.site_bytes
                );
                let help = format!(
                    "at most `rule_groups: {}`, or at least `site_bytes: {}`",
                    limits.site_bytes / worst.group_bytes,
                    worst.rule_bytes
                );
                reports[*file].error(*place, problem).help(help);
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
        report.error(place, problem).help("one rule must fit its site");
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

fn canonical_set(limits: &StateLimits, disabled: SignalTypes, rules: Vec<Json>) -> Json {
    let number = |n: usize| Json::Int(n as i64);
    let limits = Json::map([
        ("rule_groups", number(limits.rule_groups)),
        ("site_groups", number(limits.site_groups)),
        ("site_bytes", number(limits.site_bytes)),
    ]);
    Json::map([
        ("format", Json::Int(FORMAT)),
        ("limits", limits),
        ("disabled", Json::list(disabled.iter().map(|t| Json::text(t.name())))),
        ("rules", Json::List(rules)),
    ])
}
