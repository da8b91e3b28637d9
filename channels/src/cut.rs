//! Cuts texts to what a receiver takes.

/// The beginning of a text that has at most `units_max` UTF-16 code units once `escape` has written it, which is
/// what receivers count at most; "…" stands for what was cut. No character is cut, nor what stands for one.
pub(super) fn cut(text: &str, units_max: usize, escape: fn(char, &mut String)) -> String {
    let units = |text: &str| text.encode_utf16().count();
    let (mut whole, mut piece) = (String::new(), String::new());
    let (mut used, mut fits_with_mark) = (0, 0);
    for c in text.chars() {
        piece.clear();
        escape(c, &mut piece);
        used += units(&piece);
        if used > units_max {
            whole.truncate(fits_with_mark);
            if units_max > 0 {
                whole.push('…');
            }
            return whole;
        }
        whole.push_str(&piece);
        if used < units_max {
            fits_with_mark = whole.len();
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn html(c: char, to: &mut String) {
        match c {
            '&' => to.push_str("&amp;"),
            c => to.push(c),
        }
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        for (text, units_max, expected) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("", 3, ""),
            ("abc", 0, ""),
            ("abc", 1, "…"),
            ("a&b", 7, "a&amp;b"),
            ("a&bc", 7, "a&amp;…"),
            ("a&bc", 6, "a…"),
            ("🛒🛒", 4, "🛒🛒"),
            ("🛒🛒🛒", 4, "🛒…"),
        ] {
            assert_eq!(cut(text, units_max, html), expected, "{text} {units_max}");
        }
    }

    proptest! {
        #[test]
        fn what_is_cut_fits_and_is_a_beginning(text in "\\PC{0,40}", units_max in 0..40_usize) {
            let shown = cut(&text, units_max, html);
            prop_assert!(shown.encode_utf16().count() <= units_max);
            let whole = cut(&text, usize::MAX, html);
            prop_assert!(shown == whole || shown.is_empty() || whole.starts_with(shown.strip_suffix('…').unwrap()));
        }
    }
}
