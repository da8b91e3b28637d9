//! Bodies that are drawn from the catalogue.

use super::*;

/// A generator that is as good as its seed (Steele et al., `SplitMix64`).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }
}

/// A value that the catalogue allows: as JSON, and as the engine must read it.
fn any_value(dice: &mut Dice, kind: &FieldKind) -> (serde_json::Value, String) {
    match kind {
        FieldKind::Enum(symbols) => {
            let i = dice.roll(symbols.len());
            (symbols[i].clone().into(), format!("Enum({i})"))
        }
        FieldKind::EnumList(symbols) => {
            let bits = dice.roll(1 << symbols.len());
            let mut list: Vec<_> =
                (0..symbols.len()).filter(|i| bits & 1 << i != 0).map(|i| symbols[i].clone()).collect();
            list.reverse();
            (list.into(), format!("List({bits})"))
        }
        FieldKind::Int { min, max } => {
            let n = [*min, *max, *min + dice.roll((max - min) as usize) as i64][dice.roll(3)];
            (n.into(), format!("Int({n})"))
        }
        FieldKind::Bool => {
            let truth = dice.roll(2) == 0;
            (truth.into(), format!("Bool({truth})"))
        }
        FieldKind::Hash => {
            let bytes: [u8; 16] = std::array::from_fn(|_| dice.roll(256) as u8);
            (bytes.iter().fold(String::new(), |hex, b| hex + &format!("{b:02x}")).into(), format!("Hash({bytes:?})"))
        }
        FieldKind::Ident { class, max } => {
            let len = [1, *max, 1 + dice.roll(*max)][dice.roll(3)];
            let letters: Vec<char> =
                (' '..='~').filter(|c| class.admits(&format!("/{c}")) || class.admits(&c.to_string())).collect();
            let text: String = (0..len).map(|_| letters[dice.roll(letters.len())]).collect();
            let text = if class.admits(&text) { text } else { format!("/{}", &text[1..].replace('/', "a")) };
            let text = if class.admits(&text) { text } else { "a".to_owned() };
            (text.clone().into(), format!("Ident({text:?})"))
        }
    }
}

/// Writes a string as JSON, with escapes that need not be there.
fn escaped(dice: &mut Dice, text: &str) -> String {
    let piece = |c: char, how: usize| match (how, c) {
        (0, c) => format!("\\u{:04x}", c as u32),
        (_, '/') => "\\/".to_owned(),
        (_, '"' | '\\') => format!("\\{c}"),
        (_, c) => c.to_string(),
    };
    text.chars().fold(String::from("\""), |out, c| out + &piece(c, dice.roll(9))) + "\""
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_the_catalogue_allows_comes_out_as_it_went_in(seed in any::<u64>(), count in 0_usize..12) {
        let mut dice = Dice(seed);
        let (mut signals, mut expected) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let kind = SignalType::from_index(dice.roll(11)).unwrap();
            let at = NOW - dice.roll(600_000_000) as i64;
            let mut members = vec![format!("\"type\":{}", escaped(&mut dice, kind.name())), format!("\"at\":{at}")];
            let mut line = format!("{}@{}", kind.name(), at - NOW);
            for field in &kind.def().fields {
                if field.optional && dice.roll(2) == 0 {
                    continue;
                }
                let (json, read) = any_value(&mut dice, &field.kind);
                let json = json.as_str().map(|t| escaped(&mut dice, t)).unwrap_or(json.to_string());
                members.push(format!("\"{}\":{json}", field.name));
                line = format!("{line} {}={read}", field.name);
            }
            for i in (1..members.len()).rev() {
                members.swap(i, dice.roll(i + 1));
            }
            signals.push(format!("{{{}}}", members.join(",")));
            expected.push(line);
        }
        prop_assert_eq!(told_signal(&signals.join(" ,\n")), expected.join("\n"));
    }

    #[test]
    fn a_spoilt_body_is_told_apart_and_never_panics(seed in any::<u64>(), cuts in 1_usize..6) {
        let good = body(r#"{"type":"auth.attempt","at":1767225600000,"outcome":"failure","method":"form","source":"0123456789abcdef0123456789abcdef"}"#);
        let mut bytes = good.into_bytes();
        let mut dice = Dice(seed);
        for _ in 0..cuts {
            let at = dice.roll(bytes.len());
            match dice.roll(3) {
                0 => { bytes.remove(at); }
                1 => bytes[at] = dice.roll(256) as u8,
                _ => bytes.insert(at, b"{}[]\",:\\0e-\xff"[dice.roll(12)]),
            }
        }
        match admit(&bytes, &TERMS) {
            Ok(admitted) => with_record(&admitted, |batch| {
                let read = batch.signals().collect::<Result<Vec<_>, _>>();
                assert_eq!(read.map(|s| s.len()), Ok(admitted.accepted));
            }),
            Err(fault) => prop_assert!(matches!(fault.refusal.row().status, 400 | 413)),
        }
    }
}
