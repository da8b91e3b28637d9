//! SIGHUP: rules and certificate are read again, after they were checked.

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
