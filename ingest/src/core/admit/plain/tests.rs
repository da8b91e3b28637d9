use logystera_schemas::catalogue::{FieldKind, SignalType};
use proptest::prelude::*;

use super::super::carefully;
use super::*;
use crate::core::refusal::Refusal;

const NOW: i64 = 1_767_225_600_000;
const TERMS: Terms = Terms { received_at: NOW, signal_age_ms_max: 7 * 86_400_000 };

fn value(kind: &FieldKind) -> String {
    match kind {
        FieldKind::Enum(symbols) => format!("{:?}", symbols[symbols.len() - 1]),
        FieldKind::EnumList(symbols) => format!("{:?}", &symbols[..2]).replace(", ", ","),
        FieldKind::Int { min, .. } => min.to_string(),
        FieldKind::Bool => "true".into(),
        FieldKind::Hash => r#""0123456789abcdef0123456789abcdef""#.into(),
        FieldKind::Ident { class: IdentClass::Path, .. } => r#""/a/b.php""#.into(),
        FieldKind::Ident { class: IdentClass::Action, .. } => r#""lost_password-1""#.into(),
        FieldKind::Ident { .. } => r#""1.2.3""#.into(),
    }
}

/// A signal of this type with all its fields, or only those that it must have.
fn signal(kind: SignalType, all: bool) -> String {
    let fields = kind.def().fields.iter().filter(|f| all || !f.optional);
    let members: Vec<_> = fields.map(|f| format!(",\"{}\":{}", f.name, value(&f.kind))).collect();
    format!(r#"{{"type":"{}","at":{NOW}{}}}"#, kind.name(), members.concat())
}

fn body(signals: &str) -> String {
    let integration = r#"{"platform":"drupal","version":"1.2.3","enabled":["cron.run","file.edit"]}"#;
    let numbers = format!(r#""through":{NOW},"clock_offset_ms":-20,"flush_every_s":30"#);
    format!(r#"{{{numbers},"integration":{integration},"signals":[{signals}]}}"#)
}

/// A body with a signal of every type, with and without what it need not have.
fn every_type() -> String {
    let sent = SignalType::all().filter(|kind| kind.is_sent());
    let signals: Vec<_> = sent.flat_map(|kind| [signal(kind, true), signal(kind, false)]).collect();
    body(&signals.join(","))
}

/// The quick way takes it, and as the careful one does.
fn is_plain(text: &str) {
    let quick = admit(text, &TERMS);
    assert_eq!(quick.as_ref(), carefully(text, &TERMS).as_ref().ok(), "{text}");
    assert!(quick.is_some(), "{text}");
}

#[test]
fn what_senders_send_is_plain() {
    let text = every_type();
    is_plain(&text);
    is_plain(&body(""));
    is_plain(&body("").replacen("\"through\"", "\"ends\":true,\"through\"", 1));
    is_plain(&body("").replacen("\"through\"", "\"ends\": false, \"through\"", 1));
    is_plain(&text.replace(':', ": ").replace(',', ",\n\t").replace('[', "[ ").replace('}', "\r\n}"));
    is_plain(&body(&[signal(SignalType::from_index(0).unwrap(), true).as_str(); BATCH_SIGNALS_MAX].join(",")));
    // Members in another order; only a signal's type comes first.
    is_plain(&format!(
        r#"{{"signals":[{{"type":"cron.run","outcome":"ok","job":"a","at":{NOW}}}],"integration":{{"enabled":[],"platform":"other"}},"through":{NOW}}}"#
    ));
}

#[test]
fn what_is_unusual_is_left_to_the_careful_way() {
    let cron = format!(r#"{{"type":"cron.run","at":{NOW},"job":"a","outcome":"ok"}}"#);
    let good = body(&cron);
    is_plain(&good);
    for (from, to) in [
        ("cron.run\",\"at", "cron\\u002erun\",\"at"),
        ("\"a\"", "\"\\u0061\""),
        ("\"a\"", "\"\u{e9}\""),
        ("\"a\"", "\"\u{1}\""),
        ("\"a\"", "\"\""),
        ("\"a\"", "null"),
        ("\"ok\"", "\"OK\""),
        ("\"ok\"", "\"ok\",\"outcome\":\"ok\""),
        ("\"ok\"", "\"ok\",\"late_s\":1.0"),
        ("\"ok\"", "\"ok\",\"late_s\":-0"),
        ("\"ok\"", "\"ok\",\"late_s\":01"),
        ("\"ok\"", "\"ok\",\"late_s\":1e2"),
        ("\"ok\"", "\"ok\",\"late_s\":9999999999999999999"),
        ("\"ok\"", "\"ok\",\"late_s\":null"),
        ("\"ok\"", "\"ok\",\"password\":1"),
        (",\"outcome\":\"ok\"", ""),
        (",\"outcome\":\"ok\"", ","),
        ("{\"type\"", "{\"job\":\"a\",\"type\""),
        ("}]", "},{}]"),
        ("}]", "},]"),
        ("]}", "]}{}"),
        ("]}", "],\"x\":1}"),
        ("]}", "],\"through\":1}"),
        ("]}", "],\"signals\":[]}"),
        ("\"version\":\"1.2.3\"", "\"version\":\"\""),
        ("\"cron.run\",\"file.edit\"", "\"cron.run\",\"of.tomorrow\""),
        ("\"cron.run\",\"file.edit\"", "\"cron.run\",\"integration.refused\""),
        ("\"through\"", "\"throug\""),
        ("\"clock_offset_ms\":-20,", "\"clock_offset_ms\":-800000000000000,"),
    ] {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good, "{from}");
        assert_eq!(admit(&text, &TERMS), None, "{text}");
    }
    // Times that are none, or that the spool cannot be through with.
    let through = format!("\"through\":{NOW}");
    for through_at in [0, NOW / 1_000, TIME_MS_MIN - 1, NOW - 2] {
        let text = good.replacen(&through, &format!("\"through\":{through_at}"), 1);
        assert_eq!(admit(&text, &TERMS), None, "{text}");
    }
    is_plain(&good.replacen(&through, &format!("\"through\":{}", NOW - 1), 1));
    // A signal that lies ahead of the gateway's clock does not bind it: by the sender's clock, which is 20 ms ahead.
    for (ahead, plain) in [(5_020, false), (5_021, true)] {
        let text = body(&cron.replace(&NOW.to_string(), &(NOW + ahead).to_string()));
        assert_eq!(admit(&text, &TERMS).is_some(), plain, "{ahead}");
        assert_eq!(admit(&text, &TERMS).as_ref(), carefully(&text, &TERMS).as_ref().ok(), "{ahead}");
    }
    let many = [cron.as_str(); BATCH_SIGNALS_MAX + 1].join(",");
    let engines = SignalType::all().filter(|kind| !kind.is_sent());
    for kind in engines {
        assert_eq!(admit(&body(&signal(kind, true)), &TERMS), None, "{}", kind.name());
    }
    let old = cron.replace(&NOW.to_string(), &(NOW - TERMS.signal_age_ms_max - 1).to_string());
    let late = good.replace("\"clock_offset_ms\":-20,", "").replace("]}", "],\"clock_offset_ms\":1}");
    for text in [body(&many), body(&old), late, String::new(), "{}".into(), good[..good.len() - 1].into()] {
        assert_eq!(admit(&text, &TERMS), None, "{text}");
    }
}

/// What a body is spoilt with: all of JSON's own characters, and what could be taken for something else.
const SPLINTERS: [&str; 26] = [
    "",
    "\"",
    "\\",
    ",",
    ":",
    "{",
    "}",
    "[",
    "]",
    " ",
    "\n",
    "-",
    "0",
    "1",
    "e5",
    ".5",
    "null",
    "true",
    "false",
    "\\n",
    "\\u0061",
    "\u{e9}",
    "\u{1f}",
    "\u{7f}",
    "a",
    "\"at\":1,",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn the_quick_way_takes_nothing_that_the_careful_one_does_not(
        kind in 0_usize..logystera_schemas::catalogue::SIGNAL_TYPES,
        all in any::<bool>(),
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), 0_usize..3, 0..SPLINTERS.len()), 1..4),
    ) {
        let mut text = body(&signal(SignalType::from_index(kind).unwrap(), all));
        for (at, len, splinter) in cuts {
            let at = at.index(text.len());
            if text.is_char_boundary(at) && text.is_char_boundary(at + len) {
                text.replace_range(at..(at + len).min(text.len()), SPLINTERS[splinter]);
            }
        }
        if let Some(quick) = admit(&text, &TERMS) {
            prop_assert_eq!(Ok(quick), carefully(&text, &TERMS), "{}", text);
        }
    }

    /// Of bodies whose times alone differ both ways take the same, wherever the offset stands.
    #[test]
    fn both_ways_agree_on_times(
        through in -6_000_i64..6_000,
        ats in proptest::collection::vec(-6_000_i64..12_000, 0..5),
        offset in -7_000_i64..7_000,
        behind in any::<bool>(),
        seconds in 0_u8..20,
    ) {
        let scale = |at: i64, now: bool| if now { (NOW + at) / 1_000 } else { NOW + at };
        let signals: Vec<_> = ats.iter().enumerate().map(|(i, at)| {
            let at = scale(*at, seconds == 1 && i == 0);
            format!(r#"{{"type":"cron.run","at":{at},"job":"a","outcome":"ok"}}"#)
        }).collect();
        let head = format!(r#""through":{},"integration":{{"platform":"other","enabled":[]}}"#, scale(through, seconds == 0));
        let (first, last) = (format!(r#""clock_offset_ms":{offset},"#), format!(r#","clock_offset_ms":{offset}"#));
        let (first, last) = if behind { ("", last.as_str()) } else { (first.as_str(), "") };
        let text = format!(r#"{{{first}{head},"signals":[{}]{last}}}"#, signals.join(","));
        let careful = carefully(&text, &TERMS);
        if let Some(quick) = admit(&text, &TERMS) {
            prop_assert_eq!(Ok(&quick), careful.as_ref(), "{}", text);
        }
        // The rule, from its text.
        let in_ms = |i: usize| seconds != 1 || i != 0;
        let newest = ats.iter().enumerate().filter(|(i, at)| in_ms(*i) && **at + offset <= 5_000).map(|(_, at)| *at).max();
        let allowed = seconds != 0 && newest.is_none_or(|newest| through >= newest - 1);
        prop_assert_eq!(careful.as_ref().err().map(|f| (f.refusal, f.field)), (!allowed).then_some((Refusal::ThroughInvalid, Some("through"))));
        let quick_can = allowed && (seconds != 1 || ats.is_empty()) && (!behind || offset == 0);
        prop_assert_eq!(admit(&text, &TERMS).is_some(), quick_can, "{}", text);
    }

    #[test]
    fn odd_bytes_are_found(bytes in any::<[u8; 8]>(), plain in any::<[bool; 8]>()) {
        let mut word = bytes;
        word.iter_mut().zip(plain).filter(|(_, plain)| *plain).for_each(|(b, _)| *b = b'a' + (*b & 0xf));
        let odd = |b: &u8| *b < 0x20 || *b >= 0x80 || *b == b'"' || *b == b'\\';
        let first = odd_bytes(u64::from_le_bytes(word)).trailing_zeros() as usize / 8;
        prop_assert_eq!(first, word.iter().position(odd).unwrap_or(8));
    }
}
