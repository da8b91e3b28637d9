//! Signatures: headers that are none, keys that do not sign (any more), clocks that are wrong.

use std::path::Path;

use logystera_system::hostile::Expected::{NotHttp, Refused, Taken};
use logystera_system::hostile::{Target, add_site};
use logystera_system::post::Post;
use logystera_system::process::{json, ok};
use logystera_system::wire::{Credentials, now_ms};

pub(crate) fn signature_headers(target: &Target) {
    let good = target.good_post();
    let (head, value, ts) = (good.head(), good.signature(), format!("ts={}", good.ts));
    let bad = |from: &str, to: &str| good.with_head(&head.replace(from, to));
    for (input, request) in [
        ("no signature", good.with_head(head.split_once("Logystera").expect("a header").0)),
        ("the signature twice", good.with_head(&format!("{head}Logystera-Signature: {value}\r\n"))),
        ("a second one that is empty", good.with_head(&format!("{head}logystera-signature:\r\n"))),
        ("an empty one", bad(&value, "")),
        ("two in one", bad(&value, &format!("{value}, {value}"))),
        ("version 2", bad("v1 site", "v2 site")),
        ("ts -1", bad(&ts, "ts=-1")),
        ("ts i64::MIN", bad(&ts, "ts=-9223372036854775808")),
        ("ts i64::MAX", bad(&ts, "ts=9223372036854775807")),
        ("ts over u64", bad(&ts, "ts=99999999999999999999")),
        ("ts of ten digits with a sign", bad(&ts, "ts=+176722560")),
        ("capitals in the MAC", bad("sig=", "sig=A")),
        ("spaces", bad(",key", ", key")),
        (
            "another order",
            bad(
                &format!("site={},key={}", good.by.site, good.by.key),
                &format!("key={},site={}", good.by.key, good.by.site),
            ),
        ),
        ("number 0", bad(&good.batch, "00000000000000aa.0")),
        ("number over u64", bad(&good.batch, "00000000000000aa.99999999999999999999")),
        ("a NUL in the header", bad(&good.by.site, "a\0b")),
        ("Latin-1 in the header", [&bad(&value, "v1 site=")[..], b"\xef"].concat()),
        ("a name of 10,000 characters", bad(&good.by.site, &"a".repeat(10_000))),
    ] {
        let expected = match input {
            "a NUL in the header" => NotHttp(400),
            _ => Refused("signature_malformed"),
        };
        target.check(input, &request, expected);
    }
}

/// Sends a batch whose `ts` is `off` seconds from the gateway's clock, which shows the same second before and after.
fn off(target: &Target, input: &str, off: i64, good: bool) {
    loop {
        let post = target.good_post();
        let answer = Post { ts: post.ts + off, ..post.clone() }.send(target.port);
        if now_ms() / 1_000 == post.ts {
            target.note(input, if good { Taken } else { Refused("clock_skew") }, &answer);
            return;
        }
    }
}

/// A key that is not valid yet can't be made by a command; `ingest/tests/http/hostile.rs` has it.
pub(crate) fn keys(target: &Target, data: &str) {
    let (site, other) = (&target.site, &target.good);
    let by = |by: Credentials| Post { by, ..target.good_post() };
    let issue = |args: &[&str]| {
        let args = [&["site"], args, &["--json", "--data", data]].concat();
        Credentials::from_json(&json(&args)[0])
    };
    let revoked = issue(&["rotate-key", &site.site]);
    ok(&["site", "revoke-key", &site.site, &revoked.key, "--data", data]);
    let brief = add_site(Path::new(data), "brief");
    issue(&["rotate-key", &brief.site, "--overlap-days", "0"]);
    for (input, by, recorded) in [
        ("a wrong secret", Credentials { secret: vec![7; 32], ..site.clone() }, "signature_wrong"),
        ("a valid key with another site", Credentials { site: other.site.clone(), ..site.clone() }, "signature_wrong"),
        ("no such site", Credentials { site: "nobody".into(), ..site.clone() }, "key_unknown"),
        ("no such key", Credentials { key: "k99".into(), ..site.clone() }, "key_unknown"),
        (
            "no such key, a secret of zeros",
            Credentials { key: "k99".into(), secret: vec![0; 32], ..site.clone() },
            "key_unknown",
        ),
        ("another deployment's", Credentials { audience: "staging".into(), ..site.clone() }, "signature_wrong"),
        ("a revoked key", revoked, "key_revoked"),
        ("a key that has ended", brief, "key_out_of_time"),
    ] {
        target.check(input, &Post { by, ..target.good_post() }.request(), Refused(recorded));
    }
    let late = Post { ts: now_ms() / 1_000 + 400, ..by(Credentials { secret: vec![7; 32], ..site.clone() }) };
    target.check("400 s off with a wrong secret", &late.request(), Refused("signature_wrong"));
    off(target, "300 s ahead", 300, true);
    off(target, "300 s behind", -300, true);
    off(target, "301 s ahead", 301, false);
    off(target, "301 s behind", -301, false);
    for (input, ts) in [("the first second of all", 0), ("the last of ten digits", 9_999_999_999)] {
        target.check(input, &Post { ts, ..target.good_post() }.request(), Refused("clock_skew"));
    }
}
