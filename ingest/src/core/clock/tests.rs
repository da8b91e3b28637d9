use super::*;

const START: i64 = 1_767_225_600_000;

/// A gateway, and how far its clock is from the true time.
struct Gate {
    watch: ClockWatch,
    off_ms: i64,
}

/// Gateways that hear each other a quarter of a second late; each second they judge, and say whether they believe their clocks.
struct Cluster {
    gates: Vec<Option<Gate>>,
    now_ms: i64,
}

impl Cluster {
    fn of(offs_ms: &[i64]) -> Self {
        let gate = |off_ms: &i64| Some(Gate { watch: ClockWatch::among_others(), off_ms: *off_ms });
        Self { gates: offs_ms.iter().map(gate).collect(), now_ms: 0 }
    }

    /// Lets seconds pass; gives who takes batches at their end.
    fn pass(&mut self, seconds: usize) -> Vec<bool> {
        let mut takes = Vec::new();
        for _ in 0..seconds {
            self.now_ms += 1_000;
            let now_ms = self.now_ms;
            let judged: Vec<_> = self
                .gates
                .iter_mut()
                .map(|gate| gate.as_mut().map(|g| g.watch.judge(START + now_ms + g.off_ms, now_ms)))
                .collect();
            for (from, judged) in judged.iter().enumerate() {
                let at = START + now_ms + self.gates[from].as_ref().map_or(0, |g| g.off_ms);
                for (to, gate) in self.gates.iter_mut().enumerate() {
                    let Some(Gate { watch, .. }) = gate else { continue };
                    match judged {
                        Some(judged) if to == from && judged.ticks() => watch.written(at),
                        Some(judged) if to == from || !judged.takes_batches() => {
                            if to > from {
                                watch.defer(now_ms + 250);
                            }
                        }
                        Some(_) => watch.heard(&format!("g{from}"), at, now_ms + 250),
                        None => watch.forget(&format!("g{from}")),
                    }
                }
            }
            takes = judged.iter().map(|j| j.is_some_and(Judgement::takes_batches)).collect();
        }
        takes
    }
}

#[test]
fn of_two_whose_clocks_differ_the_one_that_comes_is_odd() {
    for off_ms in [-240_000, -6_000, 6_000, 240_000, 10 * 365 * 86_400_000] {
        let mut cluster = Cluster::of(&[0, off_ms]);
        let late = cluster.gates[1].take();
        assert_eq!(cluster.pass(10), [true, false]);
        cluster.gates[1] = late;
        for second in 0..60 {
            assert_eq!(cluster.pass(1), [true, false], "{off_ms}: second {second}");
        }
        // Its clock is mended.
        cluster.gates[1].as_mut().unwrap().off_ms = 100;
        assert_eq!(cluster.pass(2), [true, true], "{off_ms}");
    }
}

#[test]
fn of_two_the_one_whose_clock_jumps_is_odd_within_two_seconds() {
    for off_ms in [-240_000, 240_000] {
        let mut cluster = Cluster::of(&[0, 0]);
        assert_eq!(cluster.pass(20), [true, true]);
        cluster.gates[0].as_mut().unwrap().off_ms = off_ms;
        assert_eq!(cluster.pass(1), [false, true], "{off_ms}");
        assert_eq!(cluster.pass(120), [false, true], "{off_ms}");
        cluster.gates[0].as_mut().unwrap().off_ms = 0;
        assert_eq!(cluster.pass(2), [true, true], "{off_ms}");
    }
}

/// The others may only start anew: the wrong clock must not take over meanwhile, so that the right one is odd when it is back.
#[test]
fn who_was_contradicted_stays_out_while_the_others_start_anew() {
    for off_ms in [-240_000, 240_000] {
        let mut cluster = Cluster::of(&[0, off_ms]);
        let late = cluster.gates[1].take();
        cluster.pass(10);
        cluster.gates[1] = late;
        assert_eq!(cluster.pass(10), [true, false]);
        for away in [1, 30, 600] {
            cluster.gates[0] = None;
            assert_eq!(cluster.pass(away), [false, false], "{off_ms}: {away} s");
            cluster.gates[0] = Some(Gate { watch: ClockWatch::among_others(), off_ms: 0 });
            assert_eq!(cluster.pass(10), [true, false], "{off_ms}: {away} s");
        }
        // Its clock is mended while it is alone; and one that is started anew has nobody to believe but itself.
        cluster.gates[0] = None;
        cluster.gates[1].as_mut().unwrap().off_ms = 1_000;
        assert_eq!(cluster.pass(1), [false, true], "{off_ms}");
        cluster.gates[1] = Some(Gate { watch: ClockWatch::among_others(), off_ms });
        assert_eq!(cluster.pass(10), [false, true], "{off_ms}");
    }
}

#[test]
fn of_two_that_start_at_once_one_is_in_and_the_other_compares_itself() {
    for apart in 0..6 {
        let mut cluster = Cluster::of(&[0, 240_000]);
        let late = cluster.gates[1].take();
        cluster.pass(apart);
        cluster.gates[1] = late;
        assert_eq!(cluster.pass(12), [true, false], "{apart} s apart");
    }
    // Who is alone in the log of leases has nobody to listen for.
    let mut watch = ClockWatch::among_others();
    watch.nobody_else();
    assert!(watch.judge(START, 0).takes_batches());
}

#[test]
fn small_differences_and_one_that_drifts_away_from_two() {
    let mut cluster = Cluster::of(&[0, 2_000, -2_000]);
    assert_eq!(cluster.pass(30), [true, true, true]);
    for _ in 0..100 {
        cluster.gates[2].as_mut().unwrap().off_ms += 100;
        cluster.pass(1);
    }
    assert_eq!(cluster.pass(12), [true, true, false]);
}

#[test]
fn who_starts_listens_and_then_is_alone() {
    let mut watch = ClockWatch::among_others();
    assert_eq!(watch.judge(START, 0), Judgement::Listens);
    assert_eq!(watch.judge(START + 1_000, 1_000), Judgement::Listens);
    let after = watch.judge(START + CLOCK_LISTEN_MS, CLOCK_LISTEN_MS);
    assert_eq!(after, Judgement::Agrees { skew_ms: 0 });
    assert!(!Judgement::Listens.ticks() && !Judgement::Listens.takes_batches());
}

#[test]
fn what_is_heard_late_is_no_difference() {
    let mut watch = ClockWatch::among_others();
    for second in 0..20 {
        // One in five comes at once, the others up to nine seconds late.
        let late_ms = if second % 5 == 0 { 50 } else { 9_000 };
        watch.heard("other", START + second * 1_000 - late_ms, second * 1_000);
        let judged = watch.judge(START + second * 1_000, second * 1_000);
        assert_eq!(judged, Judgement::Agrees { skew_ms: 50 }, "second {second}");
    }
    assert_eq!(watch.judge(START + 40_000, 40_000), Judgement::Agrees { skew_ms: 0 }, "who is gone has no say");
}

#[test]
fn what_stood_in_the_log_before_counts_as_the_furthest_partition_has_it() {
    let ahead = START + 7_200_000;
    let back: Vec<i64> = std::iter::once(ahead).chain((0..i64::from(TICKS_BELOW)).map(|n| START + n * 1_000)).collect();
    for (partitions, log_ms) in [
        (vec![vec![START - 1_000, START]], None),
        (vec![vec![START, ahead], vec![START]], Some(ahead)),
        (vec![vec![START], vec![ahead, START]], Some(ahead)),
        // Set back in each of them, whichever is read first.
        (vec![back.clone(), back.clone()], None),
        // One that took no ticks then has its own time still.
        (vec![back.clone(), vec![ahead]], Some(ahead)),
        (vec![vec![ahead], back], Some(ahead)),
        (vec![vec![], vec![]], None),
    ] {
        let mut watch = ClockWatch::alone();
        for ticks in &partitions {
            watch.found(ticks.iter().copied());
        }
        let told = match watch.judge(START + 60_000, 0) {
            Judgement::Differs { log_ms, .. } => Some(log_ms),
            _ => None,
        };
        assert_eq!(told, log_ms, "{partitions:?}");
    }
}

#[test]
fn who_agrees_with_others_waits_for_nothing_that_the_log_had_before() {
    let mut watch = ClockWatch::among_others();
    watch.found([START + 7_200_000]);
    watch.heard("other", START, 0);
    assert_eq!(watch.judge(START, 0), Judgement::Agrees { skew_ms: 0 });
    let alone_ms = LEASE_HEARD_MS + 1;
    assert_eq!(watch.judge(START + alone_ms, alone_ms), Judgement::Agrees { skew_ms: 0 });
}

#[test]
fn alone_it_waits_until_the_logs_time_is_set_back() {
    let mut watch = ClockWatch::alone();
    watch.written(START + 7_200_000);
    let mut waited = 0;
    loop {
        let now = START + waited * 1_000;
        let judged = watch.judge(now, waited * 1_000);
        if judged.takes_batches() {
            break;
        }
        let skew_ms = now - START - 7_200_000;
        assert_eq!(judged, Judgement::Differs { log_ms: START + 7_200_000, skew_ms, ticks: true });
        watch.written(now);
        waited += 1;
    }
    assert_eq!(waited, i64::from(TICKS_BELOW));
    // A little behind is nothing to wait for; ahead it cannot know.
    for (off_ms, takes) in [(-5_000, true), (-5_001, false), (0, true), (7_200_000, true)] {
        let mut watch = ClockWatch::alone();
        watch.written(START);
        assert_eq!(watch.judge(START + off_ms, 0).takes_batches(), takes, "{off_ms}");
    }
}
