//! What people read, and tests that leave to chance what signals carry.

use logystera_processor::core::{Condition, Piece, Rule};

use crate::code::Code;
use crate::report::Report;
use crate::yaml::Node;

pub(super) fn check(node: &Node, rule: &Rule, report: &mut Report<'_>) {
    let names = |wanted: fn(&Piece) -> bool| rule.message.0.iter().any(wanted);
    if names(|piece| matches!(piece, Piece::Count))
        && names(|piece| matches!(piece, Piece::Within(_)))
        && let Some(message) = node.get("message")
    {
        let problem = "`{count}` is the episode's, and `{within}` the window: together they say too much";
        let at = report.part(message.place, "{within}");
        report.warn(Code::CountWithinWindow, at, problem, "take `{within}` away: an episode can last longer");
    }
    if let Some((key, _)) = node.entry("evidence").filter(|(_, list)| list.items().is_empty()) {
        let help = "name the fields that people need: `logystera` shows no other";
        report.warn(Code::NoEvidence, key.place, "the alert shows nothing of the signals", help);
    }
    if let (None, Some(name)) = (node.entry("severity"), node.get("name")) {
        let help = "say `severity: info`, `warning` or `critical`: whoever is woken goes by it";
        report.warn(Code::NoSeverity, name.place, format!("`{}` has no `severity`: it is `warning`", rule.name), help);
    }
    for test in node.get("tests").map(Node::items).unwrap_or_default() {
        signals(test, rule, report);
    }
}

fn signals(test: &Node, rule: &Rule, report: &mut Report<'_>) {
    let (Some(signal), false) = (rule.signal, matches!(rule.condition, Condition::Blind { .. })) else { return };
    for line in test.get("signals").map(Node::items).unwrap_or_default() {
        let lacks = signal.def().fields.iter().filter(|def| !def.optional && line.get(&def.name).is_none());
        let lacks: Vec<String> = lacks.map(|def| format!("`{}`", def.name)).collect();
        if let (Some((key, _)), false) = (line.entry("at"), lacks.is_empty()) {
            let problem = format!("every {} has {}", signal.name(), lacks.join(", "));
            let help = "the test fills them in with values of its own: give those that the rule should see";
            report.warn(Code::TestLacksFields, key.place, problem, help);
        }
    }
}
