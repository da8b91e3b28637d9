//! Bodies: too large, too deep, no JSON, or JSON that two readers would read differently.

use logystera_system::hostile::Expected::{Refused, Taken};
use logystera_system::hostile::Target;
use logystera_system::post::{Post, body, gzip, signal};
use logystera_system::wire::now_ms;

pub(crate) fn spaces(bytes: usize) -> Vec<u8> {
    vec![b' '; bytes]
}

pub(crate) fn bodies(target: &Target) {
    let now = now_ms();
    let (at, good) = (now - 1_000, signal(now - 1_000, "wp_version_check"));
    let with = |signals: &str| body(now, signals);
    let bomb = gzip(&spaces(64 << 20));
    let zip = |body: Vec<u8>| Post { encoding: Some("gzip".to_owned()), ..target.post(body) };
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let mut invalid = with(&good);
    invalid[20] = 0xff;
    let trailing = |tail: &[u8]| [&with(&good), tail].concat();
    let typed = |content_type: &str| Post { content_type: content_type.to_owned(), ..target.good_post() };
    let encoded = |encoding: &str| Post { encoding: Some(encoding.to_owned()), ..target.good_post() };
    let head = |from: &str, to: &str| target.post(String::from_utf8_lossy(&with(&good)).replace(from, to));
    for (input, post, expected) in [
        ("gzip bomb, 64 MiB", zip(bomb.clone()), Refused("inflated_too_large")),
        ("gzip bomb, 7 MiB in 32 KiB", zip(gzip(&spaces(7 << 20))), Refused("gzip_ratio")),
        ("gzip bomb in gzip", zip(gzip(&bomb)), Refused("not_utf8")),
        ("gzip that is not", zip(with(&good)), Refused("gzip_malformed")),
        ("gzip, cut", zip(gzip(&with(&good))[..40].to_vec()), Refused("gzip_malformed")),
        ("two gzip members", zip([gzip(&with(&good)), gzip(b"x")].concat()), Refused("gzip_malformed")),
        ("good gzip", target.post(with(&good)).zipped(), Taken),
        (
            "300,000 empty signals",
            target.post(with(&vec!["{}"; 300_000].join(","))).zipped(),
            Refused("too_many_signals"),
        ),
        ("1,001 signals", target.post(with(&vec!["{}"; 1_001].join(","))), Refused("too_many_signals")),
        ("depth 10,000", target.post(with(&deep)), Refused("json_too_deep")),
        ("depth 10,000 at the top", target.post("[".repeat(10_000)), Refused("head_invalid")),
        (
            "a name twice in a signal",
            target.post(with(&good.replace("\"job\"", "\"job\":\"a\",\"job\""))),
            Refused("json_duplicate_name"),
        ),
        (
            "a name twice in the head",
            head("{\"through\"", "{\"through\":1,\"through\""),
            Refused("json_duplicate_name"),
        ),
        (
            "a name twice, once escaped",
            target.post(with(&good.replace("\"job\"", "\"j\\u006fb\":\"a\",\"job\""))),
            Refused("json_duplicate_name"),
        ),
        ("1,025 names in a signal", target.post(with(&names(1_025))), Refused("json_too_many_names")),
        ("1e400", target.post(with(&good.replace(&at.to_string(), "1e400"))), Refused("json_malformed")),
        ("NaN", target.post(with("NaN")), Refused("json_malformed")),
        ("a lone high surrogate", target.post(with(r#"{"x":"\ud800"}"#)), Refused("json_malformed")),
        ("a lone low surrogate", target.post(with(r#"{"x":"\udc00"}"#)), Refused("json_malformed")),
        ("a lone surrogate in a name", target.post(with(r#"{"\ud800":1}"#)), Refused("json_malformed")),
        ("invalid UTF-8", target.post(invalid), Refused("not_utf8")),
        ("a second object behind", target.post(trailing(b"{}")), Refused("json_malformed")),
        ("a NUL behind", target.post(trailing(b"\0")), Refused("json_malformed")),
        ("blanks behind", target.post(trailing(b" \n\t")), Taken),
        ("nothing", target.post(""), Refused("json_malformed")),
        ("no head", target.post("{}"), Refused("head_invalid")),
        ("`through` below zero", head(&format!("{{\"through\":{now}"), "{\"through\":-1"), Refused("head_invalid")),
        (
            "`through` over i64",
            head(&format!("{{\"through\":{now}"), "{\"through\":99999999999999999999"),
            Refused("head_invalid"),
        ),
        ("`through` in seconds", head(&now.to_string(), &(now / 1_000).to_string()), Refused("through_invalid")),
        (
            "`through` before the newest signal",
            head(&format!("{{\"through\":{now}"), &format!("{{\"through\":{}", at - 2)),
            Refused("through_invalid"),
        ),
        ("`at` in seconds", head(&at.to_string(), &(at / 1_000).to_string()), Refused("nothing_acceptable")),
        ("nothing acceptable", target.post(with("{},{}")), Refused("nothing_acceptable")),
        ("over 1 MiB", target.post(spaces((1 << 20) + 1)), Refused("body_too_large")),
        ("1 MiB", target.post([with(&good), spaces((1 << 20) - with(&good).len())].concat()), Taken),
        ("text", typed("text/plain"), Refused("content_type_unsupported")),
        ("a charset", typed("application/json; charset=utf-8"), Refused("content_type_unsupported")),
        ("brotli", encoded("br"), Refused("content_encoding_unsupported")),
        ("gzip twice", encoded("gzip, gzip"), Refused("content_encoding_unsupported")),
    ] {
        target.check(input, &post.request(), expected);
    }
}

/// A signal with this many names.
fn names(count: usize) -> String {
    let names: Vec<String> = (0..count).map(|n| format!("\"n{n}\":0")).collect();
    format!("{{{}}}", names.join(","))
}
