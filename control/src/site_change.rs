//! What is known of a site for people, and what it is sorted by.

use logystera_infra::directory::entry;
use logystera_infra::log::Log;
use logystera_schemas::control::{Entity, Site};
use logystera_schemas::labels::{SiteLabel, SiteLabelled};
use logystera_schemas::limits::{SITE_LABELS_MAX, SITE_URL_CHARS_MAX};
use logystera_schemas::text::{Shown, check_name, hidden_in};
use serde::{Deserialize, Serialize};

use crate::channels::for_planner;
use crate::context::Context;
use crate::deployment::Configured;
use crate::error::ControlError;
use crate::rules::{by, site_configured};
use crate::sites::known_site;

/// What is changed of a site; what is none stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteChange {
    /// Its name for people.
    #[serde(default)]
    pub name: Option<String>,
    /// Its address on the web; empty: none.
    #[serde(default)]
    pub url: Option<String>,
    /// Labels that it has from now on, such as `env=production`, in the place of those with the same keys.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Keys of labels that it has no more.
    #[serde(default)]
    pub no_labels: Vec<String>,
}

/// A site as it is after a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteNow {
    /// Id.
    pub site: String,
    /// Its name.
    pub name: String,
    /// Its address.
    pub url: Option<String>,
    /// Its labels, such as `env=production`.
    pub labels: Vec<String>,
    /// Whether it was another before.
    pub changed: bool,
}

/// An address that people can open, or what is wrong with it.
fn checked_url(text: &str) -> Result<String, ControlError> {
    let wrong = || {
        ControlError::invalid(format!(
            "--url: {} is no address: expected one such as https://shop.example, of at most {SITE_URL_CHARS_MAX} characters, without a user or password",
            Shown(text)
        ))
    };
    let rest = ["https://", "http://"].iter().find_map(|scheme| text.strip_prefix(scheme)).ok_or_else(wrong)?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let is_seen = hidden_in(text).is_none() && !text.contains(char::is_whitespace);
    let fits = text.chars().count() <= SITE_URL_CHARS_MAX && !host.is_empty() && !host.contains('@');
    if fits && is_seen { Ok(text.to_owned()) } else { Err(wrong()) }
}

/// The labels that are said, each of a key of its own.
pub(crate) fn labels_of(flag: &str, said: &[String]) -> Result<Vec<SiteLabel>, ControlError> {
    let label = |text: &String| {
        text.parse::<SiteLabel>().map_err(|error| ControlError::invalid(format!("{flag} {}: {error}", Shown(text))))
    };
    said.iter().map(label).collect()
}

/// The site after a change.
fn changed(before: &Site, change: &SiteChange) -> Result<Site, ControlError> {
    let mut site = before.clone();
    if let Some(name) = &change.name {
        check_name(name).map_err(|error| ControlError::invalid(format!("a site's name {error}")))?;
        site.name.clone_from(name);
    }
    match change.url.as_deref() {
        None => {}
        Some("") => site.url = None,
        Some(url) => site.url = Some(checked_url(url)?),
    }
    let new = labels_of("--label", &change.labels)?;
    if let Some(twice) = new.iter().find(|one| new.iter().filter(|other| other.key == one.key).count() > 1) {
        return Err(ControlError::invalid(format!("--label: a site has one value of {}", twice.key)));
    }
    if let Some(absent) = change.no_labels.iter().find(|key| site.labels.iter().all(|one| one.key != **key)) {
        return Err(ControlError::invalid(format!(
            "--no-label: {} has no label {}; `logystera site show {0}` shows those that it has",
            site.site,
            Shown(absent)
        )));
    }
    site.labels.retain(|one| !change.no_labels.contains(&one.key) && new.iter().all(|other| other.key != one.key));
    site.labels.extend(new);
    site.labels.sort();
    if site.labels.len() > SITE_LABELS_MAX {
        return Err(ControlError::invalid(format!(
            "--label: {} would have {} labels, and {SITE_LABELS_MAX} is as many as there may be",
            site.site,
            site.labels.len()
        )));
    }
    Ok(site)
}

impl<L: Log> Context<L> {
    /// Changes what is known of a site. Engine and planner hear of it in the same commit.
    pub(crate) async fn set_site(&self, site: &str, change: &SiteChange) -> Result<SiteNow, ControlError> {
        let directory = self.writer.directory()?;
        let before = known_site(&directory, site)?;
        let now = changed(before, change)?;
        let mut entries = Vec::new();
        if now.name != before.name
            && let Some(rules) = directory.site_rules(site)
        {
            // What the engine says of the site from here on has the new name; the rules stay the same.
            let configured = Configured { digest: rules.digest.to_string(), semantics: rules.semantics };
            let by = by("site set", &self.host);
            entries.extend(site_configured(&now, &configured, (&by, self.clock.wall_ms()), &self.writer.log)?);
        }
        if now.labels != before.labels {
            let (tenant, site, labels) = (now.tenant.clone(), now.site.clone(), now.labels.clone());
            entries.push(for_planner(&now.tenant, &SiteLabelled { tenant, site, labels }, &self.writer.log));
        }
        let is_changed = now != *before;
        if is_changed {
            entries.push(entry(&Entity::Site(now.clone())));
            self.writer.log.append(entries).await?;
        }
        let labels = now.labels.iter().map(ToString::to_string).collect();
        Ok(SiteNow { site: now.site.to_string(), name: now.name, url: now.url, labels, changed: is_changed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(labels: &[String]) -> Site {
        let (site, tenant) = ("shop".parse().unwrap(), "acme".parse().unwrap());
        let labels = labels_of("--label", labels).unwrap();
        Site { site, tenant, name: "Shop".to_owned(), created_at: 5, closed_at: None, url: None, labels }
    }

    fn change(fields: &str) -> SiteChange {
        serde_json::from_str(fields).unwrap()
    }

    #[test]
    fn what_is_not_named_stays_and_each_change_has_a_way_back() {
        let mut now = site(&[]);
        for (said, expected) in [
            (r#"{"name": "Müller"}"#, "Müller None []"),
            (r#"{"url": "https://shop.example/de?x=1"}"#, r#"Müller Some("https://shop.example/de?x=1") []"#),
            (
                r#"{"labels": ["team=shop", "env=staging"]}"#,
                r#"Müller Some("https://shop.example/de?x=1") ["env=staging", "team=shop"]"#,
            ),
            (r#"{"url": "", "labels": ["env=production"]}"#, r#"Müller None ["env=production", "team=shop"]"#),
            (r#"{"no_labels": ["env"]}"#, r#"Müller None ["team=shop"]"#),
            (r#"{"no_labels": ["team"], "labels": ["team=blog"]}"#, r#"Müller None ["team=blog"]"#),
            (r#"{"name": "Shop", "no_labels": ["team"]}"#, "Shop None []"),
        ] {
            now = changed(&now, &change(said)).unwrap();
            let labels: Vec<String> = now.labels.iter().map(ToString::to_string).collect();
            assert_eq!(format!("{} {:?} {labels:?}", now.name, now.url), expected, "{said}");
            assert_eq!(changed(&now, &SiteChange::default()).unwrap(), now);
        }
        assert_eq!(now, site(&[]));
    }

    #[test]
    fn what_cannot_be_set_says_what_can() {
        let full: Vec<String> = (0..SITE_LABELS_MAX).map(|n| format!("k{n}=v")).collect();
        let long = format!("https://{}.example", "x".repeat(SITE_URL_CHARS_MAX));
        for (said, says) in [
            (r#"{"name": " "}"#.to_owned(), "a site's name has 1 to 128"),
            (r#"{"url": "shop.example"}"#.to_owned(), "such as https://shop.example"),
            (r#"{"url": "javascript:alert(1)"}"#.to_owned(), "such as https://shop.example"),
            (r#"{"url": "https://"}"#.to_owned(), "such as https://shop.example"),
            (r#"{"url": "https://me:secret@shop.example"}"#.to_owned(), "without a user or password"),
            (r#"{"url": "https://shop.example/a b"}"#.to_owned(), "such as https://shop.example"),
            (r#"{"url": "https://shop.example/\u202e"}"#.to_owned(), "such as https://shop.example"),
            (format!(r#"{{"url": "{long}"}}"#), "of at most 200 characters"),
            (r#"{"labels": ["env"]}"#.to_owned(), "--label env: expected KEY=VALUE, such as env=production"),
            (r#"{"labels": ["env=a", "env=b"]}"#.to_owned(), "one value of env"),
            (r#"{"labels": ["one=more"]}"#.to_owned(), "16 is as many as there may be"),
            (r#"{"no_labels": ["env"]}"#.to_owned(), "shop has no label env"),
        ] {
            let error = changed(&site(&full), &change(&said)).unwrap_err();
            assert!(error.message.contains(says), "{said}: {error}");
        }
        assert_eq!(changed(&site(&full), &change(r#"{"labels": ["k0=w"]}"#)).unwrap().labels.len(), SITE_LABELS_MAX);
    }
}
