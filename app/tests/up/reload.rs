//! SIGHUP: rules and certificate are read again, after they were checked. And what a start without flags goes on with.

use serde_json::Value;

use crate::support::{Folder, READY};

fn rules(count: &str) -> String {
    format!(
        "format: 1\nrules:\n- name: mails\n  title: Mails\n  severity: info\n  subsystem: mail\n  signal: mail.outcome\n  \
         where: {{outcome: failed}}\n  threshold: {{count: {count}, within: 10m}}\n  evidence: [outcome]\n  message: \"{{count}}\"\n"
    )
}

fn configured(folder: &Folder) -> Vec<String> {
    let lines = folder.json(&["tail", "signals", "--from", "beginning"]);
    let configured = lines.iter().filter(|l| l["record"] == "site_configured");
    configured.map(|l| l["digest"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_hangup_reads_the_rules_again_and_a_mistake_in_them_changes_nothing() {
    let folder = Folder::new();
    std::fs::write(folder.path("rules.yaml"), rules("9")).unwrap();
    let up = folder.up(&["--rules", "rules.yaml"], READY);
    folder.expect(0, &["site", "add", "Shop"]);
    assert_eq!(configured(&folder).len(), 1);

    std::fs::write(folder.path("rules.yaml"), rules("many")).unwrap();
    up.signal("HUP");
    folder.wait_for("the mistake is told", |f| f.log().contains("nothing was changed").then_some(()));
    assert!(folder.log().contains("rules.yaml"), "{}", folder.log());
    assert_eq!(configured(&folder).len(), 1);

    std::fs::write(folder.path("rules.yaml"), rules("2")).unwrap();
    up.signal("HUP");
    folder.wait_for("the new rules hold", |f| f.log().contains("were read again").then_some(()));
    let digests = configured(&folder);
    assert!(digests.len() == 2 && digests[0] != digests[1], "{digests:?}");

    // Who is added now gets them too, and a restart with them changes nothing.
    folder.expect(0, &["site", "add", "Other"]);
    up.stop();
    folder.up(&["--rules", "rules.yaml"], READY).stop();
    let digests = configured(&folder);
    assert!(digests.len() == 3 && digests[1] == digests[2], "{digests:?}");
}

#[test]
fn a_start_without_rules_goes_on_with_those_that_were_published() {
    let folder = Folder::new();
    std::fs::write(folder.path("rules.yaml"), rules("9")).unwrap();
    let up = folder.up(&["--rules", "rules.yaml"], READY);
    folder.expect(0, &["site", "add", "Shop"]);
    up.stop();
    let ours = configured(&folder);

    let up = folder.up(&[], READY);
    assert!(
        up.said.contains("1 as they were published before, digest ") && up.said.contains("--rules default"),
        "{}",
        up.said
    );
    assert!(folder.log().contains("the rules that were published last hold on"), "{}", folder.log());
    // The certificate alone is read again.
    up.signal("HUP");
    folder.wait_for("the hangup", |f| f.log().contains("were read again").then_some(()));
    folder.expect(0, &["site", "add", "Other"]);
    up.stop();
    assert_eq!(configured(&folder), [ours[0].clone(), ours[0].clone()], "no site was configured anew");

    let up = folder.up(&["--rules", "default"], READY);
    assert!(up.said.contains("rules     the default pack\n"), "{}", up.said);
    up.stop();
    let digests = configured(&folder);
    assert!(digests.len() == 4 && digests[3] != ours[0], "{digests:?}");
    let up = folder.up(&[], READY);
    assert!(up.said.contains("rules     the default pack\n"), "{}", up.said);
    up.stop();
    assert_eq!(configured(&folder).len(), 4);
}

#[test]
fn a_channel_that_a_start_does_not_allow_any_more_is_named() {
    let folder = Folder::new();
    let up = folder.up(&["--allow-private-addresses"], READY);
    let add = |url: &str| -> Value { folder.json(&["channel", "add", "webhook", url]).remove(0) };
    let (private, public) = (add("http://10.0.0.7/hook/0123456789abcdef0123"), add("https://example.com/hook"));
    up.stop();
    assert!(!folder.log().contains("no alert reaches"), "{}", folder.log());
    folder.up(&[], READY).stop();
    let log = folder.log();
    let [private, public] = [private, public].map(|channel| channel["channel"].as_str().unwrap().to_owned());
    assert!(log.contains("no alert reaches this channel") && log.contains("--allow-private-addresses"), "{log}");
    assert!(log.contains(&private) && !log.contains(&public) && !log.contains("10.0.0.7"), "{log}");
    folder.expect(0, &["channel", "remove", &private]);
    folder.up(&[], READY).stop();
    assert_eq!(folder.log().matches("no alert reaches").count(), 1);
}
