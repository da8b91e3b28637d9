//! What is drawn seldom is drawn: a simulator that never meets it would agree as well.

use std::collections::BTreeSet;

use logystera_sim::drive::gateway::Answers;
use logystera_sim::drive::{direct, put_back};
use logystera_sim::generate::{PutBack, world};
use logystera_sim::input::Input;
use logystera_sim::model::Output;

const SEEDS: u64 = 300;

#[test]
fn logs_are_put_back() {
    let (mut logs, mut batches, mut detections, mut told_otherwise) = (0, 0, 0, 0);
    let mut answers = Answers::default();
    for seed in 0..SEEDS {
        let log = world::log_of(seed);
        let (Some(PutBack { at, lost }), Some(before)) = (&log.put_back, log.before()) else { continue };
        logs += 1;
        batches += lost.iter().filter(|input| matches!(input, Input::Batch(_))).count();
        let [was, is] = [&before, &log].map(|log| direct::run(log).expect("the engine agrees with the model"));
        let kept = was.outputs_at.iter().take_while(|(place, _)| place < at).count();
        let numbered = |outputs: &[Output]| -> BTreeSet<_> {
            outputs
                .iter()
                .filter_map(
                    |o| if let Output::Detection(d) = o { Some((d.site.clone(), d.seq, d.chain)) } else { None },
                )
                .collect()
        };
        let (gone, after) = (numbered(&was.outputs[kept..]), numbered(&is.outputs[kept..]));
        detections += gone.len();
        // Two alerts of one number: what a receiver must be able to tell apart.
        let differs =
            |(site, seq, chain): &(_, u64, _)| after.iter().any(|(s, n, c)| (s, n) == (site, seq) && c != chain);
        told_otherwise += gone.iter().filter(|of| differs(of)).count();
        let answered = put_back::run(seed, &log, &is.outputs).expect("nothing differs");
        answers.add(answered.expect("it was put back"));
    }
    println!(
        "{logs} logs, {batches} batches, {detections} detections, {told_otherwise} of them otherwise: {answers:?}"
    );
    assert!((20..=60).contains(&logs), "{logs} of {SEEDS}");
    assert!(batches > 1_000 && detections > 400 && told_otherwise > 100, "{batches} {detections} {told_otherwise}");
    let Answers { gone_taken, taken, same, duplicates, conflicts, below_window } = answers;
    assert!(
        [gone_taken, taken, same, duplicates, conflicts, below_window].iter().all(|count| *count > 0),
        "{answers:?}"
    );
}

#[test]
fn sites_step_back_to_the_first_semantics_and_forth() {
    let (mut logs, mut back, mut forth, mut batches_between) = (0, 0, 0, 0);
    for seed in 0..SEEDS {
        let before = back;
        let mut semantics = std::collections::BTreeMap::new();
        for input in world::log_of(seed).inputs {
            match input {
                Input::Configured(configured) => {
                    match (semantics.insert(configured.site, configured.semantics), configured.semantics) {
                        (Some(2), 1) => back += 1,
                        (Some(1), 2) => forth += 1,
                        _ => {}
                    }
                }
                Input::Batch(batch) if back > before => {
                    batches_between += u64::from(semantics.get(&batch.site) == Some(&1));
                }
                _ => {}
            }
        }
        logs += u64::from(back > before);
    }
    println!(
        "{logs} logs, {back} steps back, {forth} forth, {batches_between} batches under the first after a step back"
    );
    assert!((20..=90).contains(&logs), "{logs} of {SEEDS}");
    assert!(back > 40 && forth > 40 && batches_between > 1_000, "{back} {forth} {batches_between}");
}
