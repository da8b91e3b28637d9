use logystera_schemas::control::{Site, Tenant};

use super::*;

const NOW: WallMs = WallMs(1_767_225_600_000);
const HOUR_MS: i64 = 3_600_000;

fn directory() -> Directory {
    let mut directory = Directory::default();
    for tenant in ["default", "acme"] {
        let (tenant, name) = (tenant.parse().unwrap(), tenant.to_owned());
        directory.put(Entity::Tenant(Tenant { tenant, name, created_at: 5 }));
    }
    let (site, tenant, name) = ("shop".parse().unwrap(), "acme".parse().unwrap(), "Shop".to_owned());
    directory.put(Entity::Site(Site {
        site,
        tenant,
        name,
        created_at: 5,
        closed_at: None,
        url: None,
        labels: Vec::new(),
    }));
    directory
}

fn new() -> NewSilence {
    let tenant = Some("default".to_owned());
    NewSilence { for_ms: 2 * HOUR_MS, reason: "moving".to_owned(), tenant, ..NewSilence::default() }
}

#[test]
fn a_silence_is_its_sites_tenants_and_begins_now_unless_it_says_when() {
    let directory = directory();
    let of = |new: NewSilence| new.silence(&directory, "here", NOW).unwrap();
    let plain = of(new());
    assert_eq!((plain.tenant.as_str(), plain.author.as_str()), ("default", "silence add on here"));
    assert_eq!((plain.from, plain.until), (NOW, NOW.plus(2 * HOUR_MS)));
    let site = of(NewSilence { site: Some("shop".to_owned()), author: Some("ann".to_owned()), tenant: None, ..new() });
    assert_eq!((site.tenant.as_str(), site.author.as_str()), ("acme", "ann"));
    let later = of(NewSilence { from_ms: Some(NOW.0 + HOUR_MS), ..new() });
    assert_eq!((later.from, later.until), (NOW.plus(HOUR_MS), NOW.plus(3 * HOUR_MS)));
    assert_ne!(plain.silence, site.silence);
}

#[test]
fn what_cannot_be_silenced_says_what_can() {
    let directory = directory();
    let text = |text: &str| Some(text.to_owned());
    for (wrong, says) in [
        (NewSilence { for_ms: 0, ..new() }, "within 90 days"),
        (NewSilence { for_ms: SILENCE_MS_MAX + 1, ..new() }, "within 90 days"),
        (NewSilence { from_ms: Some(NOW.0 - 3 * HOUR_MS), ..new() }, "ends after now"),
        (NewSilence { reason: " ".to_owned(), ..new() }, "--reason has 1 to 128"),
        (NewSilence { author: text("a\u{202e}b"), ..new() }, "--author has only characters that can be seen"),
        (NewSilence { site: text("blog"), ..new() }, "`logystera site list` shows them"),
        (NewSilence { site: text("shop"), tenant: text("default"), ..new() }, "is acme's, not default's"),
        (NewSilence { tenant: text("nobody"), ..new() }, "no tenant nobody"),
        (NewSilence { tenant: None, ..new() }, "whose alerts? --tenant or --site says it (acme, default)"),
        (NewSilence { severity: text("bad"), ..new() }, "expected one of info, warning, critical"),
        (NewSilence { rule: text("No Rule"), ..new() }, "--rule: "),
        (NewSilence { subsystem: text("Mail!"), ..new() }, "such as mail"),
    ] {
        let error = wrong.silence(&directory, "here", NOW).unwrap_err();
        assert!(error.message.contains(says), "{error}");
    }
}

#[test]
fn of_as_many_as_are_kept_the_one_that_has_been_over_for_longest_makes_room() {
    let mut directory = directory();
    let put = |directory: &mut Directory, n: usize, until: i64| {
        let silence = new().silence(directory, "here", NOW).unwrap();
        let silence = Silence { silence: format!("sl_{n}").parse().unwrap(), until: NOW.plus(until), ..silence };
        directory.put(Entity::Silence(silence));
    };
    for n in 0..SILENCES_MAX {
        put(&mut directory, n, HOUR_MS);
    }
    let error = new().silence(&directory, "here", NOW).unwrap_err();
    assert!(error.message.contains("100 silences that are not over"), "{error}");
    assert!(
        NewSilence { site: Some("shop".to_owned()), tenant: None, ..new() }.silence(&directory, "here", NOW).is_ok()
    );
    put_over(&mut directory, 7, -5);
    put_over(&mut directory, 8, -9);
    assert_eq!(new().silence(&directory, "here", NOW).unwrap().silence.as_str(), "sl_8");
}

fn put_over(directory: &mut Directory, n: usize, until: i64) {
    let known = directory.silence(&format!("sl_{n}")).unwrap();
    let silence = Silence { until: NOW.plus(until), ..(**known).clone() };
    directory.put(Entity::Silence(silence));
}
