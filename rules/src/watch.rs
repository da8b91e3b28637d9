//! What a rule watches: its signal, what passes, what tells groups apart, and its condition.

use logystera_processor::core::{Condition, Filter};
use logystera_schemas::catalogue::{SignalType, TYPE_FIELDS_MAX};
use logystera_schemas::limits::GROUP_FIELDS_MAX;

use crate::code::Code;
use crate::condition::Groups;
use crate::read::{self, Keys};
use crate::report::{Place, Report};
use crate::suggest;
use crate::window::Watched;
use crate::yaml::{Node, Yaml};
use crate::{clauses, condition, filter, threshold};

/// Of which a rule has one.
const CONDITIONS: [&str; 3] = ["threshold", "absent", "each"];

/// What a rule watches: everything that depends on its signal.
pub(crate) struct Watch {
    pub(crate) signal: Option<SignalType>,
    pub(crate) filter: Filter,
    pub(crate) group_by: Vec<usize>,
    pub(crate) evidence: Vec<usize>,
    pub(crate) condition: Condition,
}

/// Reads what a rule watches, and when its condition is true.
pub(crate) fn read(keys: &Keys<'_>, report: &mut Report<'_>) -> Option<Watch> {
    let (name, place, node) = the_condition(keys, report)?;
    let group_by_place = keys.get("group_by").filter(|node| !is_empty_list(node)).map(|node| node.place);
    let absent = (name == "absent").then_some(node);
    if let Some(node) = absent.filter(|node| condition::is_blind(node)) {
        let condition = condition::blind(node, report)?;
        for key in ["signal", "where", "group_by", "evidence"] {
            if let Some((place, _)) = keys.entry(key).filter(|(_, node)| !is_empty_list(node)) {
                report
                    .error(Code::KeyDoesNotFit, place, format!("`{key}` in a rule about the whole site"))
                    .help("`blind_after` watches every signal: take it away");
            }
        }
        return Some(Watch {
            signal: None,
            filter: Filter::default(),
            group_by: Vec::new(),
            evidence: Vec::new(),
            condition,
        });
    }
    let signal = keys
        .need("signal", "the type that it watches: `signal: mail.outcome`", report)
        .and_then(|node| signal_type(node, report));
    let filter = match (keys.get("where"), signal) {
        (Some(node), Some(signal)) => clauses::read(node, "`where`", signal, report),
        _ => Some(Filter::default()),
    };
    let group_by = fields(keys, "group_by", GROUP_FIELDS_MAX, signal, report);
    let evidence = fields(keys, "evidence", TYPE_FIELDS_MAX, signal, report);
    let condition = match name {
        "threshold" => {
            let group_by = group_by.as_deref().unwrap_or_default();
            threshold::read(place, node, &Watched { signal, filter: filter.as_ref(), group_by }, report)
        }
        "each" => condition::each(node, report),
        _ => {
            let groups = Groups { signal, place: group_by_place, fields: group_by.as_deref() };
            condition::absent(node, &groups, report)
        }
    };
    Some(Watch {
        signal: Some(signal?),
        filter: filter?,
        group_by: group_by?,
        evidence: evidence?,
        condition: condition?,
    })
}

/// The one condition of a rule: its name, its place and its value.
fn the_condition<'n>(keys: &Keys<'n>, report: &mut Report<'_>) -> Option<(&'static str, Place, &'n Node)> {
    let given = CONDITIONS.into_iter().filter_map(|name| keys.entry(name).map(|(place, node)| (name, place, node)));
    let given: Vec<_> = given.collect();
    match given[..] {
        [one] => return Some(one),
        [(first, ..), (second, place, _), ..] => {
            report
                .error(Code::TwoConditions, place, format!("`{first}` and `{second}` in one rule"))
                .help("a rule has one condition: make two rules");
        }
        [] if keys.has_later() => {}
        [] => {
            report
                .error(Code::NoCondition, keys.place, "a rule needs `threshold`, `absent` or `each`")
                .help("such as `threshold: {count: 5, within: 10m}`");
        }
    }
    None
}

fn is_empty_list(node: &Node) -> bool {
    matches!(&node.yaml, Yaml::List(items) if items.is_empty())
}

/// Reads the name of a signal type.
pub(crate) fn signal_type(node: &Node, report: &mut Report<'_>) -> Option<SignalType> {
    let name = read::text(node, "`signal`", report)?;
    let found = SignalType::from_name(name);
    if found.is_none() {
        let help = suggest::help(name, SignalType::all().map(SignalType::name));
        report.error(Code::UnknownSignal, node.place, format!("there is no signal type `{name}`")).help(help);
    }
    found
}

/// A list of different fields of the signal, in the order of the file.
fn fields(
    keys: &Keys<'_>,
    key: &str,
    max: usize,
    signal: Option<SignalType>,
    report: &mut Report<'_>,
) -> Option<Vec<usize>> {
    let Some(node) = keys.get(key) else { return Some(Vec::new()) };
    let what = format!("`{key}`");
    let mut places = Vec::new();
    let mut complete = true;
    for item in read::list(node, &what, max, report)? {
        let found = match read::text(item, &what, report) {
            Some("site") if key == "group_by" => {
                report
                    .error(Code::SaidTwice, item.place, "every rule counts by site already")
                    .help("take `site` away; name only what tells groups of one site apart");
                None
            }
            Some("at") if key == "evidence" => {
                report.error(Code::SaidTwice, item.place, "evidence always has the time").help("take `at` away");
                None
            }
            Some(name) => signal.and_then(|s| filter::field(name, item.place, s, report)).map(|(place, _)| place),
            None => None,
        };
        match found {
            Some(place) if places.contains(&place) => {
                report.error(Code::SaidTwice, item.place, format!("{what} names it twice")).help("keep one of them");
                complete = false;
            }
            Some(place) => places.push(place),
            None => complete = false,
        }
    }
    complete.then_some(places)
}
