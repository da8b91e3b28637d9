//! Near misses: what somebody who wrote an unknown word may have meant.

/// Longer words are not compared: no key, type or symbol is so long.
const WORD_CHARS_MAX: usize = 64;

/// Help for an unknown word: the nearest known one, or all of them.
pub(crate) fn help<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(word, &known) {
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

/// The known word at the least distance, if that is at most a third of its length, or 1.
fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let word: Vec<char> = word.to_lowercase().replace(['-', ' '], "_").chars().take(WORD_CHARS_MAX + 1).collect();
    if word.len() > WORD_CHARS_MAX {
        return None;
    }
    let scored =
        known.iter().map(|k| (distance(&word, &k.to_lowercase().replace('-', "_").chars().collect::<Vec<_>>()), *k));
    scored.filter(|(d, k)| *d <= (k.chars().count() / 3).max(1)).min_by_key(|(d, _)| *d).map(|(_, k)| k)
}

/// Edits between two words: insert, delete, replace, swap neighbours (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let replaced = last[j] + usize::from(a[i] != b[j]);
            let mut best = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

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
