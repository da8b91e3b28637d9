//! SPDX licence expressions, as far as packages use them: names, `OR`, `AND`, `WITH`, parentheses, and the old `/`.

/// Whether someone who accepts the licences in `accepted` may use a package under `expression`.
pub fn permits(expression: &str, accepted: &[&str]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let tokens: Vec<_> = spaced.split_whitespace().collect();
    let mut parser = Parser { rest: &tokens, accepted };
    let permitted = parser.alternatives();
    permitted && parser.rest.is_empty()
}

struct Parser<'a> {
    rest: &'a [&'a str],
    accepted: &'a [&'a str],
}

impl Parser<'_> {
    fn take(&mut self, token: &str) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if *first == token => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn alternatives(&mut self) -> bool {
        let mut permitted = self.conjunction();
        while self.take("OR") {
            permitted |= self.conjunction();
        }
        permitted
    }

    fn conjunction(&mut self) -> bool {
        let mut permitted = self.licence();
        while self.take("AND") {
            permitted &= self.licence();
        }
        permitted
    }

    fn licence(&mut self) -> bool {
        if self.take("(") {
            let permitted = self.alternatives();
            return self.take(")") && permitted;
        }
        let Some((name, rest)) = self.rest.split_first() else { return false };
        self.rest = rest;
        if self.take("WITH") {
            // An exception only ever adds permissions.
            self.rest = self.rest.get(1..).unwrap_or_default();
        }
        self.accepted.contains(name)
    }
}

#[cfg(test)]
mod tests {
    use super::permits;

    #[test]
    fn expressions_mean_what_spdx_says() {
        for (expression, permitted) in [
            ("MIT", true),
            ("GPL-3.0-only", false),
            ("MIT OR GPL-3.0-only", true),
            ("MIT AND GPL-3.0-only", false),
            ("MIT/Apache-2.0", true),
            ("(MIT OR GPL-3.0-only) AND Apache-2.0", true),
            ("(GPL-2.0-only OR GPL-3.0-only) AND MIT", false),
            ("Apache-2.0 WITH LLVM-exception OR GPL-3.0-only", true),
            ("GPL-3.0-only AND MIT OR Apache-2.0", true),
            ("(MIT", false),
            ("", false),
        ] {
            assert_eq!(permits(expression, &["MIT", "Apache-2.0"]), permitted, "{expression}");
        }
    }
}
