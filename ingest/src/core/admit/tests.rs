use insta::assert_snapshot;
use logystera_schemas::batch::{Batch, BatchHead, Platform, Value, encode};
use logystera_schemas::catalogue::{FieldKind, SignalType};
use logystera_schemas::ids::{Sha256Digest, SpoolId};
use logystera_schemas::topic::SignalsRecord;
use proptest::prelude::*;

use super::*;

mod drawn;

const NOW: i64 = 1_767_225_600_000;
const TERMS: Terms = Terms { received_at: NOW, signal_age_ms_max: 7 * 86_400_000 };

fn body(signals: &str) -> String {
    let integration = r#"{"platform":"wordpress","version":"1.2.3","enabled":["auth.attempt"]}"#;
    format!(r#"{{"through":{NOW},"integration":{integration},"signals":[{signals}]}}"#)
}

fn head_of(admitted: &Admitted) -> BatchHead {
    BatchHead {
        tenant: "t".parse().unwrap(),
        site: "s".parse().unwrap(),
        key: "k".parse().unwrap(),
        encryption_key: None,
        spool: SpoolId([1; 8]),
        seq: 1,
        digest: Sha256Digest([0; 32]),
        received_at: NOW,
        through: admitted.through,
        clock_offset_ms: admitted.clock_offset_ms,
        flush_every_s: admitted.flush_every_s,
        platform: admitted.platform,
        integration_version: admitted.integration_version.clone(),
        enabled: admitted.enabled,
        refused: admitted.refused.total(),
        base_at: admitted.base_at,
        ends: admitted.ends,
    }
}

fn with_record<R>(admitted: &Admitted, read: impl FnOnce(Batch<'_>) -> R) -> R {
    let record = encode(&head_of(admitted), &admitted.signals);
    match SignalsRecord::decode(&record).unwrap() {
        SignalsRecord::Batch(batch) => read(batch),
        other => unreachable!("{other:?}"),
    }
}

/// What became of a body, in words: the accepted signals as the engine will read them, or the fault.
fn told(body: &str) -> String {
    use std::fmt::Write;

    let mut text = String::new();
    match admit(body.as_bytes(), &TERMS) {
        Err(fault) => {
            let code = fault.refusal.row().code;
            return format!("{code} {}", fault.field.unwrap_or("-"));
        }
        Ok(admitted) => {
            with_record(&admitted, |batch| {
                for signal in batch.signals().map(Result::unwrap) {
                    let _ = write!(text, "{}@{}", signal.kind.name(), signal.at - NOW);
                    for (field, value) in signal.def().fields.iter().zip(signal.fields) {
                        if value != Value::Absent {
                            let _ = write!(text, " {}={value:?}", field.name);
                        }
                    }
                    text.push('\n');
                }
            });
            for item in &admitted.refused.listed {
                let index = item.index.map_or("head".to_owned(), |i| i.to_string());
                let _ = writeln!(text, "{index}: {} {}", item.code.code(), item.field.as_deref().unwrap_or("-"));
            }
        }
    }
    text.trim_end().to_owned()
}

fn told_signal(signal: &str) -> String {
    told(&body(signal))
}

#[test]
fn a_batch_becomes_what_the_engine_reads() {
    let hash = "0123456789abcdef0123456789abcdef";
    let signals = format!(
        r#"{{"type":"auth.attempt","at":{NOW},"outcome":"failure","method":"xmlrpc","user_hash":"{hash}","source":"{hash}","privileged":true,"user_length":5}},
        {{"job":"wp_version_check","outcome":"ok","late_s":null,"at":{NOW},"type":"cron.run"}},
        {{"type":"file.edit","at":1767225599999,"path":"\/a\/b.php","size_delta":-3,"heuristics":["core_file","obfuscated"]}},
        {{"heuristics":[],"size_delta":0,"path":"/x","at":{NOW},"type":"file.edit"}},
        {{"type":"http.request","at":{NOW},"method":"GET","path":"/w\u0070","status":404,"route_group":"core","user_agent":"a \"b\"\\"}}"#
    );
    assert_snapshot!(told_signal(&signals), @r#"
    auth.attempt@0 outcome=Enum(1) method=Enum(1) user_hash=Hash([1, 35, 69, 103, 137, 171, 205, 239, 1, 35, 69, 103, 137, 171, 205, 239]) user_length=Int(5) source=Hash([1, 35, 69, 103, 137, 171, 205, 239, 1, 35, 69, 103, 137, 171, 205, 239]) privileged=Bool(true)
    cron.run@0 job=Ident("wp_version_check") outcome=Enum(0)
    file.edit@-1 path=Ident("/a/b.php") size_delta=Int(-3) heuristics=List(18)
    file.edit@0 path=Ident("/x") size_delta=Int(0) heuristics=List(0)
    http.request@0 method=Enum(0) path=Ident("/wp") status=Int(404) route_group=Ident("core") user_agent=Ident("a \"b\"\\")
    "#);
}

#[test]
fn the_head_is_read_with_its_defaults() {
    let admitted = admit(body("").as_bytes(), &TERMS).unwrap();
    with_record(&admitted, |batch| {
        assert_eq!(batch.head.through, NOW);
        assert_eq!((batch.head.clock_offset_ms, batch.head.flush_every_s), (0, 60));
        assert_eq!((batch.head.platform, batch.head.integration_version.as_str()), (Platform::Wordpress, "1.2.3"));
        assert_eq!(batch.head.enabled.iter().map(SignalType::name).collect::<Vec<_>>(), ["auth.attempt"]);
        assert_eq!(batch.signals().count(), 0);
    });
    let other = r#"{"signals":[],"integration":{"enabled":["new.type","integration.refused","cron.run"],"platform":"drupal"},"flush_every_s":300,"clock_offset_ms":-5000,"through":100000000000}"#;
    let admitted = admit(other.as_bytes(), &TERMS).unwrap();
    assert_eq!((admitted.clock_offset_ms, admitted.flush_every_s, admitted.through), (-5_000, 300, TIME_MS_MIN));
    assert_eq!((admitted.platform, admitted.integration_version.as_str()), (Platform::Drupal, ""));
    let unknown = "head: type_unknown integration.enabled";
    assert_eq!(told(other), format!("{unknown}\n{unknown}"));
    assert_eq!(admitted.enabled.iter().map(SignalType::name).collect::<Vec<_>>(), ["cron.run"]);
    for (ends, body) in [(false, other.to_owned()), (true, other.replace("\"through\"", "\"ends\":true,\"through\""))] {
        with_record(&admit(body.as_bytes(), &TERMS).unwrap(), |batch| assert_eq!(batch.head.ends, ends, "{body}"));
    }
}

#[test]
fn one_signal_is_refused_alone() {
    let ok = r#""type":"cron.run","at":1767225600000,"job":"j","outcome":"ok""#;
    for (signal, told) in [
        (r#"{"at":1}"#, "0: field_missing type"),
        (r"{}", "0: field_missing type"),
        (r#"{"type":"user.password","at":1,"x":{"y":[1]}}"#, "0: type_unknown type"),
        (r#"{"type":"integration.refused","at":1767225600000,"reason":"quota","count":1}"#, "0: type_unknown type"),
        (r#"{"type":7}"#, "0: type_unknown type"),
        (r#"{"type":null}"#, "0: type_unknown type"),
        (&format!(r#"{{{ok},"password":"hunter2"}}"#), "0: field_not_allowed password"),
        (&format!(r#"{{"password":"hunter2",{ok}}}"#), "0: field_not_allowed password"),
        (&format!(r#"{{{ok},"hunter2":1}}"#), "0: field_not_allowed -"),
        (&format!(r#"{{{ok},"Ann Smith":1}}"#), "0: field_not_allowed -"),
        (&format!(r#"{{{ok},"":1}}"#), "0: field_not_allowed -"),
        (&format!(r#"{{{ok},"{}":1}}"#, "a".repeat(65)), "0: field_not_allowed -"),
        (&format!(r#"{{{ok},"x":{{"a":[{{"b":1}}]}}}}"#), "0: field_not_allowed x"),
        (r#"{"type":"cron.run","job":"j","outcome":"ok"}"#, "0: field_missing at"),
        (r#"{"type":"cron.run","at":null,"job":"j","outcome":"ok"}"#, "0: field_missing at"),
        (r#"{"type":"cron.run","at":"1767225600000","job":"j","outcome":"ok"}"#, "0: value_invalid at"),
        (r#"{"type":"cron.run","at":-1,"job":"j","outcome":"ok"}"#, "0: value_invalid at"),
        (r#"{"type":"cron.run","at":0,"job":"j","outcome":"ok"}"#, "0: at_not_ms at"),
        (r#"{"type":"cron.run","at":1767225600,"job":"j","outcome":"ok"}"#, "0: at_not_ms at"),
        (r#"{"type":"cron.run","at":99999999999,"job":"j","outcome":"ok"}"#, "0: at_not_ms at"),
        (r#"{"type":"cron.run","at":100000000000,"job":"j","outcome":"ok"}"#, "0: too_old at"),
        (r#"{"type":"cron.run","at":1.5,"job":"j","outcome":"ok"}"#, "0: value_invalid at"),
        (r#"{"type":"cron.run","at":18446744073709551615,"job":"j","outcome":"ok"}"#, "0: value_invalid at"),
        (r#"{"type":"cron.run","at":253402300800000,"job":"j","outcome":"ok"}"#, "0: value_invalid at"),
        (r#"{"type":"cron.run","at":1767225600000,"outcome":"ok"}"#, "0: field_missing job"),
        (r#"{"type":"cron.run","at":1767225600000,"job":null,"outcome":"ok"}"#, "0: field_missing job"),
        (r#"{"type":"cron.run","at":1767225600000,"job":"","outcome":"ok"}"#, "0: value_invalid job"),
        (r#"{"type":"cron.run","at":1767225600000,"job":"a b","outcome":"ok"}"#, "0: value_invalid job"),
        (r#"{"type":"cron.run","at":1767225600000,"job":["j"],"outcome":"ok"}"#, "0: value_invalid job"),
        (r#"{"type":"cron.run","at":1767225600000,"job":"j","outcome":"OK"}"#, "0: value_invalid outcome"),
        (r#"{"type":"cron.run","at":1767225600000,"job":"j","outcome":1}"#, "0: value_invalid outcome"),
        (&format!(r#"{{{ok},"late_s":-1}}"#), "0: value_invalid late_s"),
        (&format!(r#"{{{ok},"late_s":31536001}}"#), "0: value_invalid late_s"),
        (&format!(r#"{{{ok},"late_s":1e3}}"#), "0: value_invalid late_s"),
        (&format!(r#"{{{ok},"late_s":"1"}}"#), "0: value_invalid late_s"),
        ("7", "0: value_invalid -"),
        ("null", "0: value_invalid -"),
        (r#""x""#, "0: value_invalid -"),
        (r"[[1],{}]", "0: value_invalid -"),
        (r#"{"type":"cron.run","at":1766620799999,"job":"j","outcome":"ok"}"#, "0: too_old at"),
        (
            r#"{"type":"cron.run","at":1766620800000,"job":"j","outcome":"ok"}"#,
            r#"cron.run@-604800000 job=Ident("j") outcome=Enum(0)"#,
        ),
        (&format!("{{{ok},\"late_s\":31536000}}"), r#"cron.run@0 job=Ident("j") outcome=Enum(0) late_s=Int(31536000)"#),
    ] {
        assert_eq!(told_signal(signal), told, "{signal}");
    }
    let user = |hash: &str| {
        format!(r#"{{"type":"user.change","at":{NOW},"action":"created","role":"editor","user_hash":{hash}}}"#)
    };
    for bad in
        ["\"Ann Smith\"", "\"0123456789abcdef0123456789abcde\"", "\"0123456789ABCDEF0123456789abcdef\"", "7", "[]"]
    {
        assert_eq!(told_signal(&user(bad)), "0: value_invalid user_hash", "{bad}");
    }
    let edit =
        |list: &str| format!(r#"{{"type":"file.edit","at":{NOW},"path":"/x","size_delta":1,"heuristics":{list}}}"#);
    let long = format!("[{}1]", "1,".repeat(100));
    for bad in
        ["[\"core_file\",\"core_file\"]", "[\"other\"]", "[[\"core_file\"]]", "{}", "\"core_file\"", long.as_str()]
    {
        assert_eq!(told_signal(&edit(bad)), "0: value_invalid heuristics", "{bad}");
    }
}

#[test]
fn a_refused_signal_does_not_take_the_others_with_it() {
    let good = r#"{"type":"cron.run","at":1767225600000,"job":"j","outcome":"ok"}"#;
    let bad = r#"{"type":"cron.run","at":1767225600000,"job":"j","outcome":"ok","password":"x"}"#;
    assert_snapshot!(told_signal(&[good, bad, good, "{}"].join(",")), @r#"
    cron.run@0 job=Ident("j") outcome=Enum(0)
    cron.run@0 job=Ident("j") outcome=Enum(0)
    1: field_not_allowed password
    3: field_missing type
    "#);
    let admitted = admit(body(&[bad; 150].join(",")).as_bytes(), &TERMS).unwrap();
    assert_eq!((admitted.refused.total(), admitted.refused.listed.len(), admitted.refused.more), (150, 100, 50));
}

#[test]
fn the_whole_body_is_refused() {
    let ok = r#"{"type":"cron.run","at":1767225600000,"job":"j","outcome":"ok"}"#;
    let head = r#""through":1767225600000,"integration":{"platform":"other","enabled":[]}"#;
    let through = |at: &str| format!("{{{head},\"signals\":[]}}").replace("1767225600000", at);
    let nested = |depth: usize| body(&format!("{{\"x\":{}{}}}", "[".repeat(depth), "]".repeat(depth)));
    let names = |n: usize| (0..n).map(|i| format!("\"n{i}\":0")).collect::<Vec<_>>().join(",");
    for (body, fault) in [
        (String::new(), "json_malformed -"),
        ("\u{feff}{}".into(), "json_malformed -"),
        ("{".into(), "json_malformed -"),
        ("[]".into(), "head_invalid -"),
        ("null".into(), "head_invalid -"),
        ("{}".into(), "head_invalid through"),
        (body(ok) + " x", "json_malformed -"),
        (body(ok) + "{}", "json_malformed -"),
        (body(ok) + "\0", "json_malformed -"),
        (body("NaN"), "json_malformed -"),
        (body("Infinity"), "json_malformed -"),
        (body("01"), "json_malformed -"),
        (body("1e400"), "json_malformed -"),
        (body("{\"x\":-1e400}"), "json_malformed -"),
        (body("{\"x\":[{\"y\":1e400}]}"), "json_malformed -"),
        (body("\"\\ud800\""), "json_malformed -"),
        (body("{\"x\":\"\\udc00\"}"), "json_malformed -"),
        (body("{\"\\ud800\":1}"), "json_malformed -"),
        (body("\"\u{1}\""), "json_malformed -"),
        (body("{},"), "json_malformed -"),
        (body("{\"type\":\"cron.run\",\"type\":\"cron.run\"}"), "json_duplicate_name -"),
        (body("{\"type\":\"cron.run\",\"ty\\u0070e\":\"cron.run\"}"), "json_duplicate_name -"),
        (body("{\"at\":1,\"at\":1}"), "json_duplicate_name -"),
        (body("{\"type\":\"cron.run\",\"job\":\"a\",\"job\":\"b\"}"), "json_duplicate_name -"),
        (body("{\"job\":\"a\",\"type\":\"cron.run\",\"job\":\"b\"}"), "json_duplicate_name -"),
        (body("{\"job\":\"a\",\"job\":\"b\",\"type\":\"cron.run\"}"), "json_duplicate_name -"),
        (body("{\"x\":1,\"x\":1}"), "json_duplicate_name -"),
        (body("{\"x\":{\"y\":1,\"y\":1}}"), "json_duplicate_name -"),
        (body("[[{\"y\":1,\"y\":1}]]"), "json_duplicate_name -"),
        (format!("{{{head},{head},\"signals\":[]}}"), "json_duplicate_name -"),
        (format!("{{{head},\"signals\":[],\"signals\":[]}}"), "json_duplicate_name -"),
        (format!("{{{head},\"signals\":[],\"through\":1}}"), "json_duplicate_name -"),
        (format!("{{{head},\"signals\":[],\"x\":1,\"x\":1}}"), "json_duplicate_name -"),
        (format!("{{{head},\"signals\":[],\"integration\":{{}}}}"), "json_duplicate_name -"),
        (r#"{"integration":{"platform":"other","platform":"other"}}"#.into(), "json_duplicate_name -"),
        (nested(14), "json_too_deep -"),
        (nested(100), "json_too_deep -"),
        (nested(10_000), "json_too_deep -"),
        (body(&format!("{{{}}}", names(33))), "json_too_many_names -"),
        (body(&format!("{{\"x\":{{{}}}}}", names(1_025))), "json_too_many_names -"),
        (format!("{{{}}}", names(33)), "json_too_many_names -"),
        (body(&["{}"; 1_001].join(",")), "too_many_signals -"),
        (format!("{{{head}}}"), "head_invalid signals"),
        (format!("{{{head},\"signals\":{{}}}}"), "head_invalid signals"),
        (format!("{{{head},\"signals\":null}}"), "head_invalid signals"),
        (r#"{"integration":7}"#.into(), "head_invalid integration"),
        (r#"{"through":1767225600000,"signals":[]}"#.into(), "head_invalid integration.platform"),
        (
            r#"{"through":1767225600000,"signals":[],"integration":{"platform":"other"}}"#.into(),
            "head_invalid integration.enabled",
        ),
        (r#"{"integration":{"platform":"joomla"}}"#.into(), "head_invalid integration.platform"),
        (r#"{"integration":{"enabled":[7]}}"#.into(), "head_invalid integration.enabled"),
        (r#"{"integration":{"enabled":"cron.run"}}"#.into(), "head_invalid integration.enabled"),
        (r#"{"integration":{"version":1}}"#.into(), "head_invalid integration.version"),
        (
            r#"{"through":1767225600000,"signals":[],"integration":{"platform":"other","enabled":[],"version":"a b"}}"#
                .into(),
            "head_invalid integration.version",
        ),
        (through("-1"), "head_invalid through"),
        (through("1767225600000.0"), "head_invalid through"),
        (through("253402300800000"), "head_invalid through"),
        (through("0"), "through_invalid through"),
        (through("1767225600"), "through_invalid through"),
        (through("99999999999"), "through_invalid through"),
        (body(ok).replacen("1767225600000", "1767225599998", 1), "through_invalid through"),
        (format!("{{{head},\"signals\":[],\"flush_every_s\":0}}"), "head_invalid flush_every_s"),
        (format!("{{{head},\"signals\":[],\"flush_every_s\":86401}}"), "head_invalid flush_every_s"),
        (format!("{{{head},\"signals\":[],\"clock_offset_ms\":9000000000000}}"), "head_invalid clock_offset_ms"),
        (format!("{{{head},\"signals\":[],\"ends\":1}}"), "head_invalid ends"),
        (format!("{{{head},\"signals\":[],\"ends\":null}}"), "head_invalid ends"),
        (format!("{{{head},\"signals\":[],\"ends\":true,\"ends\":true}}"), "json_duplicate_name -"),
        (format!("{{{head},\"signals\":[],\"clock_offset_ms\":null}}"), "head_invalid clock_offset_ms"),
    ] {
        assert_eq!(told(&body), fault, "{}", &body[..body.len().min(200)]);
    }
    assert_eq!(admit(b"{\"x\":\"\xff\"}", &TERMS).unwrap_err().refusal, Refusal::NotUtf8);
    let fault = admit(b"{\n \"through\": @}", &TERMS).unwrap_err();
    assert_eq!((fault.line, fault.column), (Some(2), Some(13)));
}

#[test]
fn the_limits_themselves_are_allowed() {
    let nested = |depth: usize| body(&format!("{{\"x\":{}{}}}", "[".repeat(depth), "]".repeat(depth)));
    assert_eq!(told(&nested(13)), "0: field_missing type");
    let admitted = admit(body(&["{}"; 1_000].join(",")).as_bytes(), &TERMS).unwrap();
    assert_eq!(admitted.refused.total(), 1_000);
    let names = (0..32).map(|i| format!("\"n{i}\":0")).collect::<Vec<_>>().join(",");
    assert_eq!(told_signal(&format!("{{{names}}}")), "0: field_missing type");
}

#[test]
fn a_signals_age_is_judged_in_site_time_wherever_the_offset_stands() {
    // By its own clock the signal is a minute too old; the sender's clock is known to be two minutes behind.
    let signal = r#"{"type":"cron.run","at":1766620740000,"job":"j","outcome":"ok"}"#;
    let plain = body(signal);
    let before = plain.replacen('{', "{\"clock_offset_ms\":120000,", 1);
    let after = format!("{},\"clock_offset_ms\":120000}}", &plain[..plain.len() - 1]);
    assert_eq!(told(&plain), "0: too_old at");
    assert_eq!(told(&before), r#"cron.run@-604860000 job=Ident("j") outcome=Enum(0)"#);
    assert_eq!(told(&after), told(&before));
}
