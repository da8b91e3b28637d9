//! Refusals, which rules see.

use crate::support::World;

const REFUSED: &str = "format: 1\nrules:\n- name: turned-away\n  title: Refused\n  severity: warning\n  subsystem: integration\n  \
    signal: integration.refused\n  where: { reason: { not: [signal, quota] } }\n  threshold: { count: 3, within: 15m }\n  \
    resolve_after: 0s\n  evidence: [reason, count]\n  message: m\n";

#[test]
fn refusals_fire() {
    for (semantics, told) in [(1, vec![]), (2, vec!["5: turned-away firing/firing count 3 since 5"])] {
        let mut world = World::of(semantics, REFUSED);
        world.tick(0.0);
        world.batch(1, 5.0, &[]);
        for (reason, authenticated) in [
            ("conflict", true),
            ("conflict", false),
            ("rate_limited", true),
            ("too_old", true),
            ("duplicate", true),
            ("clock_skew", true),
            ("below_window", true),
        ] {
            assert_eq!(world.refused_for(reason, 1, Some(1), authenticated), [""; 0], "{reason}");
        }
        assert_eq!(world.refused_for("too_many_spools", 2_000_000_000, Some(2), true), told, "version {semantics}");
        if let Some(detection) = world.detections.first() {
            let shown: Vec<_> =
                detection.evidence.iter().map(|e| e.fields[0].value.clone() + &e.fields[1].value).collect();
            assert_eq!(shown, ["conflict1", "below_window1", "too_many_spools1000000000"]);
        }
    }
}

/// A site that was never heard: its refusals are judged by the clock of the log, and its first batch as any.
#[test]
fn refusals_fire_before_the_first_batch() {
    let mut world = World::of(2, REFUSED);
    for at in [100.0, 101.0] {
        world.tick(at);
        assert_eq!(world.refused_for("head_invalid", 1, None, true), [""; 0]);
    }
    world.tick(102.0);
    assert_eq!(
        world.refused_for("json_malformed", 1, None, true),
        ["102: turned-away firing/firing count 3 since 102"]
    );
    // The window of the first ends at 1,000: time goes on without a watermark.
    world.tick(1_001.0);
    world.tick(1_002.0);
    assert_eq!(
        world.refused_for("json_malformed", 1, None, true),
        ["1000: turned-away resolved/resolved count 3 since 102"]
    );
    assert_eq!(world.batch(1, 90.0, &[]), [""; 0]);
    assert_eq!(world.engine().outcomes().next().map(|(_, o)| o.late), Some(0));
}

/// What only the engine makes is on whatever a sender says, and off only by the configuration.
#[test]
fn it_is_always_on() {
    let absent = "format: 1\nrules:\n- name: fine\n  title: Fine\n  severity: info\n  subsystem: integration\n  \
        signal: integration.refused\n  absent: { for: 60s, expected: once_seen }\n  resolve_after: 0s\n  message: m\n";
    let mut world = World::of(2, absent);
    world.tick(0.0);
    world.enabled.0 = 0;
    world.batch(1, 0.0, &[]);
    world.refused_for("conflict", 1, Some(1), true);
    world.enabled.0 = 1;
    world.batch(1, 1.0, &[]);
    assert_eq!(world.batch(1, 60.0, &[]), ["60: fine firing/stopped count 0 since 60"]);
    assert_eq!(world.refused_for("conflict", 1, Some(1), true), ["60: fine resolved/resolved count 0 since 60"]);
    let disabled = format!("disabled: [integration.refused]\n{absent}");
    world.configure(&disabled);
    assert_eq!(world.batch(1, 600.0, &[]), [""; 0]);
}
