//! What state entries say of a rule at a site, beside the engine that wrote them.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by it")]

use std::collections::BTreeMap;
use std::sync::Arc;

use logystera_processor::core::{Engine, GroupStanding, Next, Progress, RuleGathering, RuleSet, RuleView, Stage};
use logystera_rules::from_canonical;
use logystera_schemas::ids::{RuleName, SiteId};
use logystera_schemas::partition::PartitionRef;
use logystera_schemas::topic::SignalsRecord;
use logystera_system::golden;

/// State entries, by key.
type Puts = BTreeMap<Vec<u8>, Vec<u8>>;

fn sets(name: &str) -> Vec<Arc<RuleSet>> {
    let set = |body: &String| Arc::new(from_canonical(body).unwrap_or_else(|e| panic!("{name}: {e:#?}")));
    golden::bodies(name).iter().map(set).collect()
}

/// What the entries say of a rule at a site.
fn view(stored: &Puts, sets: &[Arc<RuleSet>], site: &SiteId, rule: &RuleName) -> Option<RuleView> {
    let mut gathering = RuleGathering::new(site.clone(), rule.clone());
    let prefixes = gathering.prefixes();
    for (key, value) in stored.iter().filter(|(key, _)| prefixes.iter().any(|prefix| key.starts_with(prefix))) {
        gathering.take(key, value).unwrap();
    }
    let digest = gathering.digest()?;
    gathering.view(sets.iter().find(|set| set.digest == digest)?)
}

/// Whether a row of the table is this stage.
fn is_stage(row: &str, stage: Stage) -> bool {
    let first = row.split(' ').next();
    match stage {
        Stage::Inactive => matches!(first, Some("inactive" | "quiet")),
        Stage::Pending(_) => first == Some("pending"),
        Stage::Firing => first == Some("firing"),
        Stage::Clearing(_) => first == Some("clearing"),
    }
}

/// Replays a recorded log; every hundred records each rule at each site is as the engine has it.
fn check(name: &str, rows: &mut BTreeMap<&'static str, u32>, next: &mut BTreeMap<Next, u32>) -> Vec<Progress> {
    let sets = sets(name);
    let mut engine = Engine::new(PartitionRef::ONLY);
    for set in &sets {
        engine.learn(Arc::clone(set));
    }
    let (mut stored, mut progress) = (Puts::new(), Vec::new());
    for (offset, value) in golden::records(name).iter().enumerate() {
        let record = SignalsRecord::decode(value).unwrap();
        engine.apply(offset as u64, &record, &mut Vec::new()).unwrap();
        for (key, value) in engine.take_puts() {
            match value {
                Some(value) => stored.insert(key, value),
                None => stored.remove(&key),
            };
        }
        if offset % 100 != 99 {
            continue;
        }
        let sites: Vec<SiteId> = engine.outcomes().map(|(site, _)| site.clone()).collect();
        for site in &sites {
            for rule in sets.iter().flat_map(|set| &set.rules) {
                let Some(view) = view(&stored, &sets, site, &rule.name) else { continue };
                let standings = engine.standings(site, &rule.name);
                if let Some(silence) = view.silence {
                    assert_eq!(silence.is_firing, standings[0].stage == Stage::Firing, "{name} {offset} {site}");
                    continue;
                }
                assert_eq!(view.groups.len(), standings.len(), "{name} {offset} {site} {}", rule.name);
                for (group, GroupStanding { group: labels, stage, count }) in view.groups.iter().zip(&standings) {
                    let what = format!("{name} {offset} {site} {} {labels:?}", rule.name);
                    assert_eq!((&group.group, group.count), (labels, *count), "{what}");
                    assert!(is_stage(group.state, *stage), "{what}: {} is not {stage:?}", group.state);
                    let ends = match stage {
                        Stage::Pending(at) => Some((*at, Next::ForOver)),
                        Stage::Clearing(at) => Some((*at, Next::ResolveOver)),
                        _ => None,
                    };
                    assert!(ends.is_none_or(|end| group.next.contains(&end)), "{what}: {:?}", group.next);
                    let judged = view.judged.unwrap_or_else(|| panic!("{what}: a group, and nothing is judged"));
                    assert!(group.next.iter().all(|(at, _)| *at > judged), "{what}: {:?}", group.next);
                    *rows.entry(group.state).or_default() += 1;
                    group.next.iter().for_each(|(_, what)| *next.entry(*what).or_default() += 1);
                    progress.extend(&group.progress);
                }
            }
        }
    }
    progress
}

#[test]
fn what_is_stored_says_what_the_engine_has() {
    let (mut rows, mut next) = (BTreeMap::new(), BTreeMap::new());
    let mut progress = check("days", &mut rows, &mut next);
    progress.extend(check("measures", &mut rows, &mut next));
    assert!(rows.len() >= 5 && next.len() >= 5, "{rows:?} {next:?}: each is seen");
    let has = |is: fn(&Progress) -> bool| progress.iter().any(is);
    assert!(has(|p| matches!(p, Progress::Count { now: 1.., .. })) && has(|p| matches!(p, Progress::Wait { .. })));
    assert!(
        has(|p| matches!(p, Progress::Part { total: 1.., .. })) && has(|p| matches!(p, Progress::Sum { now: 1.., .. }))
    );
}
