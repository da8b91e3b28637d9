//! What messages tell of sites, and that a later try says what the first one said.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail their test")]

mod common;

use std::sync::Arc;

use common::messages::named_site;
use common::{START_MS, detection, due_of_detection};
use logystera_channels::address::AddressPolicy;
use logystera_channels::email::content;
use logystera_channels::email::server::MailConfig;
use logystera_channels::http::HttpConfig;
use logystera_channels::kinds::{self, Kinds};
use logystera_channels::message;
use logystera_channels::words::Words;
use logystera_schemas::alert::{About, Due, Frozen, Merged, NamedSite, Told};
use logystera_schemas::control::ChannelKind;
use logystera_schemas::detection::DetectionState;
use logystera_schemas::limits::{LABEL_VALUE_CHARS_MAX, SITE_LABELS_MAX, SITE_URL_CHARS_MAX, SITES_NAMED_MAX};
use serde_json::{Value, json};

const URL: &str = "https://logystera.example";

fn alert() -> Due {
    due_of_detection(detection("t", 1, DetectionState::Firing))
}

/// Alerts of as many sites, of which `named` are known.
fn of_sites(count: usize, named: Option<Arc<Frozen>>) -> Due {
    let told = (0..count).map(|n| {
        let mut found = detection("t", 1 + n as u64, DetectionState::Firing);
        if n > 0 {
            found.site = format!("site-{n}").parse().unwrap();
        }
        Told { detection: Arc::new(found), merged: Merged::default() }
    });
    Due { about: About::Bundle(told.collect()), frozen: named, ..alert() }
}

fn fact<'a>(words: &'a Words, name: &str) -> Option<&'a str> {
    words.facts.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

#[test]
fn people_are_told_the_name_the_address_and_the_labels_of_a_site() {
    let known = || Some(named_site());
    let just_id = NamedSite { name: "t-site".to_owned(), url: None, labels: vec![], ..named_site().sites[0].clone() };
    let just_id = Arc::new(Frozen { sites: vec![just_id], ..Frozen::default() });
    for (due, headline, site, address, labels) in [
        (
            Due { frozen: known(), ..alert() },
            "Critical: Mail delivery is failing (Müller & Söhne)",
            Some("Müller & Söhne (t-site)"),
            Some("https://shop.example/de"),
            Some("env=production, team=shop"),
        ),
        (alert(), "Critical: Mail delivery is failing", Some("t-site"), None, None),
        (
            Due { frozen: Some(just_id), ..alert() },
            "Critical: Mail delivery is failing (t-site)",
            Some("t-site"),
            None,
            None,
        ),
        (
            of_sites(1, known()),
            "Critical: Mail delivery is failing (Müller & Söhne, 1 alert)",
            Some("Müller & Söhne (t-site)"),
            Some("https://shop.example/de"),
            Some("env=production, team=shop"),
        ),
        (of_sites(3, known()), "Critical: Mail delivery is failing (3 alerts on 3 sites)", None, None, None),
    ] {
        let words = Words::of(&due, URL, None);
        assert_eq!(words.headline, headline);
        assert_eq!([fact(&words, "Site"), fact(&words, "Address"), fact(&words, "Labels")], [site, address, labels]);
    }
    let lines = Words::of(&of_sites(3, known()), URL, None).alerts;
    assert!(lines[0].contains("  Müller & Söhne (t-site)  ") && lines[1].contains("  site-1  "), "{lines:?}");
    let mut news = Due { frozen: known(), ..alert() };
    news.about = About::ChannelDisabled("old".parse().unwrap());
    assert_eq!(fact(&Words::of(&news, URL, None), "Site"), Some("Müller & Söhne (t-site)"));
}

#[test]
fn a_program_is_told_them_in_fields_of_their_own() {
    let data = |due: &Due| serde_json::from_slice::<Value>(&message::body(due, URL, None)).unwrap()["data"].take();
    let told = data(&Due { frozen: Some(named_site()), ..alert() });
    assert_eq!(
        [&told["site"], &told["site_name"], &told["site_url"], &told["site_labels"]],
        [
            &json!("t-site"),
            &json!("Müller & Söhne"),
            &json!("https://shop.example/de"),
            &json!({"env": "production", "team": "shop"})
        ]
    );
    assert!(data(&alert()).get("site_name").is_none(), "nothing is known of it");
    let told = data(&of_sites(2, Some(named_site())));
    assert_eq!(told["detections"][0]["site_name"], "Müller & Söhne");
    assert!(told["detections"][1].get("site_name").is_none());
}

/// What a message says of sites goes into the log with its first attempt: it is bounded, whatever a tenant has.
#[test]
fn of_more_sites_than_are_named_the_first_are_and_that_stays_small() {
    let due = of_sites(SITES_NAMED_MAX + 1, None);
    let sites = due.sites();
    assert_eq!((sites.len(), sites[0].as_str(), sites[1].as_str()), (SITES_NAMED_MAX, "t-site", "site-1"));
    let largest = NamedSite {
        name: "ü".repeat(128),
        url: Some("ü".repeat(SITE_URL_CHARS_MAX)),
        labels: (0..SITE_LABELS_MAX)
            .map(|n| format!("{n:064}={}", "ü".repeat(LABEL_VALUE_CHARS_MAX)).parse().unwrap())
            .collect(),
        ..named_site().sites[0].clone()
    };
    let sites = vec![largest; SITES_NAMED_MAX];
    let mut bytes = logystera_schemas::avro::Writer::new();
    logystera_schemas::avro::Datum::write(&Frozen { sites, ..Frozen::default() }, &mut bytes);
    assert!(bytes.len() < 512 << 10, "{} bytes", bytes.len());
}

/// Between two attempts a site can be renamed, the deployment get another address, and the planner learn that the channel may
/// know by now what it was told.
#[test]
fn a_later_try_says_the_same_bytes_in_each_kind() {
    let mail = MailConfig::new("smtp://mail.example.com", None, "alerts@logystera.example").unwrap();
    let kinds = Kinds::new(HttpConfig::new(AddressPolicy::PublicOnly), Some(mail)).unwrap();
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let targets = [
        (ChannelKind::Webhook, json!({"url": "https://example.com/a", "secret": secret})),
        (ChannelKind::Slack, json!({"url": "https://example.com/a"})),
        (ChannelKind::Teams, json!({"url": "https://example.com/a"})),
        (ChannelKind::Email, json!({"addresses": ["ops@example.com"]})),
    ];
    let over = due_of_detection(detection("t", 2, DetectionState::Resolved));
    let untold = |untold| Merged { lines: 2, firings: 1, since: START_MS, untold };
    let bundle = |is_untold| {
        let told = (1..3).map(|seq| Told {
            detection: Arc::new(detection("t", seq, DetectionState::Resolved)),
            merged: untold(is_untold),
        });
        Due { about: About::Bundle(told.collect()), ..over.clone() }
    };
    let pairs = [
        (Due { merged: untold(true), ..over.clone() }, Due { merged: untold(false), attempt: 2, ..over.clone() }),
        (bundle(true), Due { attempt: 2, ..bundle(false) }),
    ];
    for (first, second) in pairs {
        let frozen = Frozen { merged: first.merged(), sites: named_site().sites.clone(), ..Frozen::default() };
        let frozen = Arc::new(frozen);
        for (kind, stored) in &targets {
            let target = kinds::parse(*kind, stored.to_string().as_bytes()).unwrap();
            let render = |due: &Due| kinds.of(*kind).render(due, &target, URL, None);
            let said = render(&first.clone().as_frozen(Arc::clone(&frozen)));
            assert_eq!(render(&second.clone().as_frozen(Arc::clone(&frozen))), said, "{kind}");
            assert_ne!(render(&second), said, "{kind}: else nothing is shown");
        }
    }
    let text = content::text(&Words::of(&over.as_frozen(named_site()), URL, None));
    assert!(text.contains("Site: Müller & Söhne (t-site)\nAddress: https://shop.example/de\n"), "{text}");
}
