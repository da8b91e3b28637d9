//! Near misses: what somebody who wrote an unknown word may have meant.

/// Longer words are not compared: no key, type or symbol is so long.
const WORD_CHARS_MAX: usize = 64;

/// Words for what has another name here; the first of the others that is known is meant.
const SYNONYMS: [(&str, &[&str]); 8] = [
    ("high", &["critical"]),
    ("error", &["critical", "failed", "failure"]),
    ("emergency", &["critical"]),
    ("medium", &["warning"]),
    ("low", &["info"]),
    ("debug", &["info"]),
    ("ok", &["success", "sent"]),
    ("failed", &["failure"]),
];

/// Help for an unknown word: the nearest known one, or all of them.
pub(crate) fn help<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let synonym = SYNONYMS.iter().find(|(other, _)| other.eq_ignore_ascii_case(word));
    let meant = synonym.and_then(|(_, here)| here.iter().copied().find(|name| known.contains(name)));
    match meant.or_else(|| nearest(word, &known)) {
        _ if known.is_empty() => "there is none here: take it away".to_owned(),
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("it can be {}", list(&known)),
    }
}

/// `a`, `b` or `c`.
pub(crate) fn list(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|w| format!("`{w}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.join(""),
    }
}

/// Help for text in the place of a number: the range or the list that it may stand for.
pub(crate) fn number(text: &str) -> Option<String> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let text = text.trim();
    if text.contains("{{") || text.starts_with('$') {
        return Some("there are no variables in this version: write the number".to_owned());
    }
    if let Some(class) = text.to_lowercase().strip_suffix("xx")
        && let Ok(class @ 1..=9) = class.parse::<u32>()
    {
        return Some(format!("write `{{gte: {}, lt: {}}}`", class * 100, (class + 1) * 100));
    }
    for (sign, key) in [(">=", "gte"), ("<=", "lte"), ("!=", "not"), (">", "gt"), ("<", "lt")] {
        if let Some(number) = text.strip_prefix(sign).map(str::trim).filter(|number| digits(number)) {
            return Some(format!("write `{{{key}: {number}}}`"));
        }
    }
    let (low, high) = text.split_once("..").or_else(|| text.split_once('-'))?;
    (digits(low) && digits(high)).then(|| format!("write `{{gte: {low}, lte: {high}}}`"))
}

/// The known word that `word` is a slip of.
pub(crate) fn near<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    nearest(word, known).filter(|near| *near != word)
}

/// The known word at the least distance, if that is at most a third of its length, or 1. An edit puts a letter in, takes one out,
/// replaces one or swaps two neighbours.
fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let word: String = word.to_lowercase().replace(['-', ' '], "_").chars().take(WORD_CHARS_MAX + 1).collect();
    if word.chars().count() > WORD_CHARS_MAX {
        return None;
    }
    let scored = known.iter().map(|k| (strsim::osa_distance(&word, &k.to_lowercase().replace('-', "_")), *k));
    scored.filter(|(d, k)| *d <= (k.chars().count() / 3).max(1)).min_by_key(|(d, _)| *d).map(|(_, k)| k)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_other_tools_are_understood() {
        for (text, meant) in [
            ("5xx", Some("write `{gte: 500, lt: 600}`")),
            ("4XX", Some("write `{gte: 400, lt: 500}`")),
            (">=500", Some("write `{gte: 500}`")),
            ("< 600", Some("write `{lt: 600}`")),
            ("!=404", Some("write `{not: 404}`")),
            ("500-599", Some("write `{gte: 500, lte: 599}`")),
            ("500..599", Some("write `{gte: 500, lte: 599}`")),
            ("{{n}}", Some("there are no variables in this version: write the number")),
            ("0xx", None),
            ("xx", None),
            (">=", None),
            ("a-b", None),
            ("", None),
        ] {
            assert_eq!(number(text).as_deref(), meant, "{text:?}");
        }
    }

    #[test]
    fn words_of_other_tools_are_understood() {
        let severities = ["info", "warning", "critical"];
        assert_eq!(help("HIGH", severities), "did you mean `critical`?");
        assert_eq!(help("medium", severities), "did you mean `warning`?");
        assert_eq!(help("high", ["one"]), "it can be `one`");
    }

    #[test]
    fn a_near_miss_is_offered_and_a_far_one_is_not() {
        let known = ["outcome", "transport", "error_class", "in"];
        for (word, meant) in [
            ("outcom", Some("outcome")),
            ("otucome", Some("outcome")),
            ("Outcome", Some("outcome")),
            ("error-class", Some("error_class")),
            ("transprot", Some("transport")),
            ("recipients", None),
            ("xy", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, &known), meant, "{word:?}");
        }
        assert_eq!(nearest(&"x".repeat(1_000_000), &known), None);
    }
}
