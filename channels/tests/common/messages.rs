//! Messages about several alerts.

use std::sync::Arc;

use logystera_schemas::alert::{About, Digest, DigestCount, Due, Frozen, Merged, NamedSite, Told};
use logystera_schemas::detection::{Detection, DetectionState};
use logystera_schemas::labels::SiteLabel;
use logystera_schemas::time::WallMs;

use super::{START_MS, detection, due_of_detection};

/// Two alerts of a rule in one message, over both; the channel heard of the first one's beginning.
pub(crate) fn bundle() -> Due {
    let told = [(1, false), (2, true)].map(|(seq, untold)| {
        let detection = Arc::new(detection("t", seq, DetectionState::Resolved));
        Told { detection, merged: Merged { lines: u32::from(untold), firings: 1, since: START_MS, untold } }
    });
    let detection = Arc::clone(&told[0].detection);
    Due { about: About::Bundle(told.into()), detection, ..due_of_detection(firing()) }
}

/// What a channel had no room for.
pub(crate) fn digest() -> Due {
    let named = vec![Arc::new(firing()), Arc::new(detection("t", 2, DetectionState::Resolved))];
    let Detection { rule, title, severity, .. } = firing();
    let began = DigestCount { rule, title, severity, is_over: false, alerts: 40 };
    let over = DigestCount { is_over: true, alerts: 1, ..began.clone() };
    let digest = Digest { since: WallMs(START_MS), counts: vec![began, over], rest: 7 };
    Due { about: About::Digest(digest, named), ..due_of_detection(firing()) }
}

/// The site of [`detection`], as its owner knows it.
pub(crate) fn named_site() -> Arc<Frozen> {
    let label = |key: &str, value: &str| SiteLabel { key: key.to_owned(), value: value.to_owned() };
    let site = NamedSite {
        site: "t-site".parse().unwrap(),
        name: "Müller & Söhne".to_owned(),
        url: Some("https://shop.example/de".to_owned()),
        labels: vec![label("env", "production"), label("team", "shop")],
    };
    Arc::new(Frozen { sites: vec![site], ..Frozen::default() })
}

fn firing() -> Detection {
    detection("t", 1, DetectionState::Firing)
}
