//! What the codes mean, for a terminal.

use crate::code::Code;

/// What a code means, with a wrong and a right example.
pub fn explain(code: Code) -> String {
    let mut text = String::new();
    let mut in_example = false;
    for line in code.markdown().lines() {
        if line.starts_with("```") {
            in_example = !in_example;
            continue;
        }
        let line = line.strip_prefix("# ").unwrap_or(line);
        let line = if in_example && !line.is_empty() { format!("    {line}") } else { line.to_owned() };
        text.extend([line.as_str(), "\n"]);
    }
    text
}

/// All codes, each with its title on a line.
pub fn codes() -> String {
    Code::ALL.iter().fold(String::new(), |list, code| list + code.as_str() + "  " + code.title() + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explanation_is_text_for_a_terminal() {
        insta::assert_snapshot!(explain(Code::UnknownField), @r#"
        E302: The signal has no such field

        The fields of each type stand in docs/signals.md; nothing else is ever sent.

        Wrong:

            signal: mail.outcome
            where: {outcom: failed}
            threshold: {count: 5, within: 10m}

        Right:

            signal: mail.outcome
            where: {outcome: failed}
            threshold: {count: 5, within: 10m}
        "#);
        assert_eq!(codes().lines().count(), Code::ALL.len());
        let long = |line: &&str| line.chars().count() > 80;
        let all: String = Code::ALL.iter().map(|code| explain(*code)).collect();
        assert_eq!(all.lines().chain(codes().lines()).filter(long).collect::<Vec<_>>(), [""; 0]);
    }
}
