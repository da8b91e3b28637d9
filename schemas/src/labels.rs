//! What a site's owner sorts sites by, such as `env=production`.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::avro_record;
use crate::ids::{SiteId, TenantId, is_slug};
use crate::limits::LABEL_VALUE_CHARS_MAX;
use crate::schema::{Kind, TopicRecord};
use crate::text::check_name;

avro_record! {
    /// Something that a site's owner sorts sites by, such as `env=production`.
    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
    pub struct SiteLabel {
        /// What is told: 1 to 64 of a-z 0-9 _ -.
        pub key: String,
        /// What it is: 1 to [`LABEL_VALUE_CHARS_MAX`] characters that can be seen.
        pub value: String,
    }
}

/// Why a text is no label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected KEY=VALUE, such as env=production: a key of 1 to 64 of a-z 0-9 _ -, a value of 1 to {LABEL_VALUE_CHARS_MAX} characters \
     that can be seen"
)]
pub struct NoLabel;

impl FromStr for SiteLabel {
    type Err = NoLabel;

    fn from_str(text: &str) -> Result<Self, NoLabel> {
        let (key, value) = text.split_once('=').ok_or(NoLabel)?;
        let is_short = value.chars().count() <= LABEL_VALUE_CHARS_MAX;
        let fits = is_slug(key) && is_short && check_name(value).is_ok() && value.trim() == value;
        if fits { Ok(Self { key: key.to_owned(), value: value.to_owned() }) } else { Err(NoLabel) }
    }
}

impl fmt::Display for SiteLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key, self.value)
    }
}

/// Whether a site with labels `of_site` is one of those that `wanted` names: of each key that it has, the site has one of the
/// values. None wanted: every site is.
pub fn match_all(wanted: &[SiteLabel], of_site: &[SiteLabel]) -> bool {
    let has_one_of = |key: &str| wanted.iter().any(|one| one.key == key && of_site.contains(one));
    wanted.iter().all(|one| has_one_of(&one.key))
}

avro_record! {
    /// From here on the site has these labels, and no others. Written to `detections` with each change of them: the planner knows
    /// nothing else of sites.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SiteLabelled {
        /// Tenant.
        pub tenant: TenantId,
        /// Site.
        pub site: SiteId,
        /// Its labels, by key. Empty: none.
        pub labels: Vec<SiteLabel>,
    }
}

impl TopicRecord for SiteLabelled {
    const KIND: Kind = Kind::SiteLabelled;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_a_key_and_a_value_that_can_be_seen() {
        let longest = format!("env={}", "ü".repeat(LABEL_VALUE_CHARS_MAX));
        for text in ["env=production", "team=Müller & Söhne", "a=b=c", "1=1", longest.as_str()] {
            assert_eq!(text.parse::<SiteLabel>().unwrap().to_string(), text);
        }
        let too_long = format!("{longest}x");
        for text in [
            "",
            "env",
            "=x",
            "env=",
            "env= ",
            "env= x",
            "Env=x",
            "e v=x",
            "env=a\u{202e}b",
            "env=a\nb",
            too_long.as_str(),
        ] {
            assert_eq!(text.parse::<SiteLabel>(), Err(NoLabel), "{text:?}");
        }
    }
    #[test]
    fn of_each_key_one_value_is_enough_and_every_key_must_match() {
        let labels = |text: &str| text.split_whitespace().map(|one| one.parse().unwrap()).collect::<Vec<SiteLabel>>();
        for (wanted, of_site, expected) in [
            ("", "", true),
            ("", "env=production", true),
            ("env=production", "", false),
            ("env=production", "env=production team=shop", true),
            ("env=production", "env=staging", false),
            ("env=production", "tier=production", false),
            ("env=production env=staging", "env=staging", true),
            ("env=production team=shop", "env=production", false),
            ("env=production team=shop", "env=production team=shop", true),
            ("env=production team=shop team=blog", "team=blog env=production", true),
        ] {
            assert_eq!(match_all(&labels(wanted), &labels(of_site)), expected, "{wanted:?} of {of_site:?}");
        }
    }
}
