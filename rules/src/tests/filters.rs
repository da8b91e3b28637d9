//! `where` in full: each row of the language's table of edge cases, and its bounds.

use logystera_processor::core::{Clause, Filter};
use logystera_schemas::batch::{Signal, Value};
use logystera_schemas::catalogue::SignalType;

use super::accepted::{filtered, rule, set, signal};
use super::refused::rule_errors;
use crate::{from_canonical, from_yaml};

const USER: [u8; 16] = [0xaa; 16];

fn holds(filter: &str, signal: &Signal<'_>) -> bool {
    filtered(signal.kind.name(), filter).matches(&signal.fields)
}

/// The canonical form of a filter.
fn canonical(kind: &str, filter: &str) -> String {
    let text = format!(
        "format: 1\nrules: [{{name: r, title: T, subsystem: s, message: m, signal: {kind}, where: {filter}, threshold: {{count: 1, within: 1m}}}}]"
    );
    let body = set(&text).body;
    let start = body.find("\"where\":").unwrap() + 8;
    body[start..body.len() - 3].to_owned()
}

/// The first line of each error, and what stands below the place.
fn refused(kind: &str, filter: &str) -> Vec<String> {
    let shown = rule_errors(&format!("  signal: {kind}\n  threshold: {{count: 5, within: 10m}}\n  where: {filter}\n"));
    // Without its code, which has tests of its own.
    let plain = |line: &str| line.split_once("]: ").map_or(line.to_owned(), |(_, says)| format!("error: {says}"));
    let lines = shown.lines().filter(|line| line.starts_with("error[") || line.contains('^'));
    lines
        .map(|line| if line.starts_with("error[") { plain(line) } else { line.to_owned() })
        .map(|line| line.trim_start_matches([' ', '|', '^']).to_owned())
        .filter(|line| !line.is_empty())
        .collect()
}

fn login(fields: &[(&str, Value<'static>)]) -> Signal<'static> {
    signal("auth.attempt", fields)
}

fn symbol(kind: &str, field: &str, symbol: &str) -> Value<'static> {
    let (_, def) = SignalType::from_name(kind).unwrap().def().field(field).unwrap();
    Value::Enum(def.kind.symbols().iter().position(|s| s == symbol).unwrap() as u8)
}

#[test]
fn not_bad_password_holds_without_a_reason() {
    assert!(holds("{reason: {not: bad_password}}", &login(&[])));
    let reason = |name| ("reason", symbol("auth.attempt", "reason", name));
    assert!(!holds("{reason: {not: bad_password}}", &login(&[reason("bad_password")])));
}

#[test]
fn not_of_a_map_is_its_complement() {
    let attempt = |outcome, method| {
        login(&[
            ("outcome", symbol("auth.attempt", "outcome", outcome)),
            ("method", symbol("auth.attempt", "method", method)),
        ])
    };
    let filter = "{not: {outcome: failure, method: form}}";
    assert!(holds(filter, &attempt("failure", "xmlrpc")));
    assert!(holds(filter, &attempt("success", "form")));
    assert!(!holds(filter, &attempt("failure", "form")));
}

#[test]
fn any_of_nothing_is_refused() {
    assert_eq!(refused("auth.attempt", "{any: []}"), ["error: an empty `any` matches nothing"]);
    assert_eq!(refused("auth.attempt", "{all: []}"), ["error: an empty `all` says nothing"]);
    assert_eq!(refused("auth.attempt", "{any: [{}]}"), ["error: an empty filter holds always"]);
    assert_eq!(refused("auth.attempt", "{not: {}}"), ["error: an empty filter holds always"]);
}

#[test]
fn not_present_is_canonically_absent() {
    for filter in ["{reason: {not: {present: true}}}", "{reason: {present: false}}"] {
        assert_eq!(canonical("auth.attempt", filter), r#"{"reason":{"present":false}}"#, "{filter}");
        assert!(holds(filter, &login(&[])));
        assert!(!holds(filter, &login(&[("reason", Value::Enum(0))])));
    }
    for filter in ["{reason: {not: {present: false}}}", "{reason: {present: true}}"] {
        assert_eq!(canonical("auth.attempt", filter), r#"{"reason":{"present":true}}"#, "{filter}");
        assert!(!holds(filter, &login(&[])));
    }
}

#[test]
fn present_of_what_every_signal_has_is_refused() {
    assert_eq!(
        refused("auth.attempt", "{outcome: {present: true}}"),
        ["error: every signal has a `outcome`", "always holds"]
    );
    assert_eq!(
        refused("auth.attempt", "{outcome: {present: false}}"),
        ["error: every signal has a `outcome`", "never holds"]
    );
}

#[test]
fn all_on_a_list_needs_each_symbol() {
    let edit = |bits| signal("file.edit", &[("heuristics", Value::List(bits))]);
    let filter = "{heuristics: {all: [obfuscated, permission_change]}}";
    for (bits, wanted) in [(0b00010, false), (0b01000, false), (0b01010, true), (0b11111, true), (0, false)] {
        assert_eq!(holds(filter, &edit(bits)), wanted, "{bits:b}");
    }
    assert_eq!(
        refused("file.edit", "{path: {all: [/a, /b]}}"),
        ["error: `path` is an identifier; only a list has all of several"]
    );
}

#[test]
fn same_as_without_the_other_does_not_hold_and_under_not_it_does() {
    let change = |actor| signal("user.change", &[("user_hash", Value::Hash(&USER)), ("actor_hash", actor)]);
    for (filter, absent, same, other) in [
        ("{actor_hash: {same_as: user_hash}}", false, true, false),
        ("{user_hash: {same_as: actor_hash}}", false, true, false),
        ("{actor_hash: {not: {same_as: user_hash}}}", true, false, true),
        ("{not: {actor_hash: {same_as: user_hash}}}", true, false, true),
    ] {
        assert_eq!(holds(filter, &change(Value::Absent)), absent, "{filter}");
        assert_eq!(holds(filter, &change(Value::Hash(&USER))), same, "{filter}");
        assert_eq!(holds(filter, &change(Value::Hash(&[1; 16]))), other, "{filter}");
    }
    // Both are missing: nothing is the same as what is not there.
    assert!(!holds("{actor_hash: {same_as: user_hash}}", &signal("user.change", &[])));
}

#[test]
fn fields_of_different_domains_are_not_compared() {
    for (kind, filter, says) in [
        ("auth.attempt", "{user_hash: {same_as: source}}", "error: `user_hash` is a user, `source` is an address"),
        ("auth.attempt", "{source: {same_as: source}}", "error: `source` is always the same as itself"),
        ("auth.attempt", "{user_length: {same_as: user_hash}}", "error: `user_length` is compared with no other field"),
        ("user.change", "{actor_hash: {same_as: action}}", "error: `action` is compared with no other field"),
    ] {
        assert_eq!(refused(kind, filter), [says]);
    }
}

#[test]
fn a_suffix_is_judged_on_what_is_there_of_a_path_that_was_cut() {
    let request = |path| signal("http.request", &[("path", Value::Ident(path))]);
    let long = format!("/{}.sql", "a".repeat(260));
    assert!(holds("{path: {suffix: .sql}}", &request("/backup.sql")));
    assert!(!holds("{path: {suffix: .sql}}", &request(&long[..256])));
    assert!(!holds("{path: {suffix: .sql}}", &request("/backup.sql.gz")));
}

#[test]
fn contains_without_case_finds_sqlmap() {
    let request = |agent| signal("http.request", &[("user_agent", Value::Ident(agent))]);
    for (filter, wanted) in [
        ("{user_agent: {contains: sqlmap, nocase: true}}", true),
        ("{user_agent: {contains: SQLMAP, nocase: true}}", true),
        ("{user_agent: {contains: sqlmap}}", false),
        ("{user_agent: {contains: [nikto, SQLM]}}", true),
        ("{user_agent: {contains: qlMap/1, nocase: false}}", false),
        ("{user_agent: {prefix: sql, nocase: true}}", true),
        ("{user_agent: {suffix: ['/1.7', x9]}}", true),
        ("{user_agent: {suffix: sqlmap, nocase: true}}", false),
    ] {
        assert_eq!(holds(filter, &request("SQLMap/1.7")), wanted, "{filter}");
    }
    assert_eq!(
        canonical("http.request", "{user_agent: {contains: [SQLMAP, sqlmap], nocase: true}}"),
        r#"{"user_agent":{"contains":["sqlmap"],"nocase":true}}"#
    );
    assert_eq!(
        canonical("http.request", "{user_agent: {contains: SQLMAP, nocase: false}}"),
        r#"{"user_agent":{"contains":["SQLMAP"]}}"#
    );
}

#[test]
fn not_of_every_symbol_is_refused() {
    let never = |kind, filter: &str| refused(kind, filter).last().is_some_and(|line| line == "never holds");
    for (kind, filter) in [
        ("auth.attempt", "{outcome: {not: [success, failure, lockout, reset_requested]}}"),
        ("http.request", "{status: {not: {gte: 100}}}"),
        ("http.request", "{status: {gte: 500}, all: [{status: {lt: 500}}]}"),
        ("http.request", "{all: [{status: {not: {lt: 400}}}, {status: {not: {gte: 400}}}]}"),
        ("http.request", "{all: [{status: [404, 500]}, {status: {not: 404}}, {status: {not: 500}}]}"),
        ("http.request", "{not: {method: GET}, all: [{method: GET}]}"),
        ("http.request", "{status: 404, any: [{status: 500}, {status: {gt: 404}}]}"),
        ("auth.attempt", "{reason: {present: false}, all: [{reason: blocked}]}"),
        ("auth.attempt", "{all: [{privileged: true}, {privileged: false}]}"),
    ] {
        assert!(never(kind, filter), "{filter}: {:?}", refused(kind, filter));
    }
    for (kind, filter) in [
        ("http.request", "{status: 404, any: [{status: 500}, {status: {gte: 404}}]}"),
        ("http.request", "{all: [{status: {gte: 400}}, {status: {not: {gte: 500}}}]}"),
        ("http.request", "{not: {method: GET, status: 200}, all: [{method: GET}]}"),
        // Whoever has no reason passes.
        ("auth.attempt", "{reason: {not: [unknown_user, bad_password, blocked, expired, other]}}"),
        ("auth.attempt", "{privileged: {not: true}, all: [{privileged: {not: false}}]}"),
        ("file.edit", "{all: [{path: {prefix: /a}}, {path: {suffix: .php}}]}"),
    ] {
        filtered(kind, filter);
    }
}

/// What was published goes on: it is no error that a later version knows better.
#[test]
fn a_published_set_that_never_matches_is_still_read() {
    let body = r#"{"format":1,"rules":[{"name":"r","title":"T","subsystem":"s","message":"m","signal":"http.request","where":{"status":{"not":{"gte":100}}},"threshold":{"count":1,"within":"1m"}}]}"#;
    assert!(from_yaml(&[("t.yaml", body)]).is_err());
    assert_eq!(from_canonical(body).unwrap().body, body);
}

#[test]
fn any_and_all_hold_as_they_say() {
    let request = |status, method| {
        signal("http.request", &[("status", Value::Int(status)), ("method", symbol("http.request", "method", method))])
    };
    for (filter, status, method, wanted) in [
        ("{any: [{status: 404}, {method: POST}]}", 404, "GET", true),
        ("{any: [{status: 404}, {method: POST}]}", 200, "POST", true),
        ("{any: [{status: 404}, {method: POST}]}", 200, "GET", false),
        ("{any: [{status: 404, method: POST}, {status: 500}]}", 404, "GET", false),
        ("{status: 404, any: [{method: POST}]}", 404, "GET", false),
        ("{all: [{status: {gte: 400}}, {status: {not: 404}}]}", 410, "GET", true),
        ("{all: [{status: {gte: 400}}, {status: {not: 404}}]}", 404, "GET", false),
        ("{not: {any: [{status: 404}, {method: POST}]}}", 200, "GET", true),
        ("{not: {any: [{status: 404}, {method: POST}]}}", 200, "POST", false),
        ("{all: [{any: [{status: 404}, {not: {method: POST}}]}]}", 200, "POST", false),
        ("{all: [{any: [{status: 404}, {not: {method: POST}}]}]}", 200, "GET", true),
    ] {
        assert_eq!(holds(filter, &request(status, method)), wanted, "{filter}");
    }
}

/// In whichever order it is written, a filter has one canonical form, and one order of the engine's.
#[test]
fn any_says_the_same_in_any_order() {
    let spellings = [
        "{any: [{status: 404}, {method: [POST, GET], status: 500}]}",
        "{any: [{status: 500, method: [GET, POST]}, {status: 404}, {status: [404]}]}",
    ];
    let forms = spellings.map(|filter| (canonical("http.request", filter), filtered("http.request", filter).filter));
    assert_eq!(forms[0], forms[1]);
    assert_eq!(forms[0].0, r#"{"any":[{"method":["GET","POST"],"status":[500]},{"status":[404]}]}"#);
    let Filter(clauses) = &forms[0].1;
    assert!(matches!(clauses.as_slice(), [Clause::Any(filters)] if filters.len() == 2));
}

#[test]
fn filters_are_bounded() {
    let nested = |levels: usize| format!("{}{{status: 404}}{}", "{any: [".repeat(levels - 1), "]}".repeat(levels - 1));
    filtered("http.request", &nested(4));
    assert_eq!(refused("http.request", &nested(5)), ["error: more than 4 levels of `any`, `all` and `not`"]);
    let many = |tests: usize| {
        let tests: Vec<String> = (0..tests).map(|nth| format!("{{status: {}}}", 100 + nth)).collect();
        format!("{{any: [{}]}}", tests.join(", "))
    };
    filtered("http.request", &many(64));
    assert_eq!(refused("http.request", &many(65)), ["error: `where` has 65 tests; it has at most 64"]);
    assert_eq!(refused("http.request", &many(101)), ["error: `any` has 101 entries; it has at most 100"]);
    assert_eq!(
        refused("http.request", "{path: {contains: /}}"),
        ["error: a piece of a `path` has at least 2 characters"]
    );
    assert_eq!(
        refused("http.request", "{path: {suffix: 'a b'}}"),
        ["error: no `path` has `a b` in it", "never matches"]
    );
}

#[test]
fn tests_that_do_not_go_together_are_refused() {
    for (filter, says) in [
        ("{status: {nocase: true}}", "error: `nocase` without text"),
        ("{path: {prefix: /a, suffix: /b}}", "error: `prefix` and more in one test"),
        ("{path: {prefix: /a, gte: 1}}", "error: a prefix and a range in one test"),
        ("{path: {suffix: .a, contains: bb}}", "error: `suffix` and more in one test"),
        ("{not: {not: {status: 404}}}", "error: `not` of `not`"),
        ("{status: {suffix: '04'}}", "error: `status` is a number; it has no suffix"),
        ("{source: {contains: ab}}", "error: `source` is a hash; it has no parts"),
        ("{path: {suffix: .a, nocase: perhaps}}", "error: `nocase` is true or false, not text"),
    ] {
        assert_eq!(refused("http.request", filter), [says], "{filter}");
    }
    assert_eq!(rule("signal: http.request\nthreshold: {count: 1, within: 1m}").filter, Filter::default());
}
