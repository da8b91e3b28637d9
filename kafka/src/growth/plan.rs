//! Whether and how a topic's partitions can grow. Pure.

use logystera_schemas::control::{GrowthPhase, Lease, Partitions, ProcessRole};
use logystera_schemas::ids::KEY_GROUPS;
use logystera_schemas::limits::PARTITIONS_OWNED_MAX;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// The topic has as many.
    Nothing,
    /// A growth to as many is under way: go on with it.
    Resume,
    /// Begin with this.
    Begin(Partitions),
}

/// What is to be done so that a topic has `wanted` partitions; or why that can't be.
pub(super) fn plan(now: &Partitions, wanted: u32) -> Result<Plan, String> {
    let (topic, current) = (now.topic, now.generations.last().copied().unwrap_or(0));
    if now.phase != GrowthPhase::Open {
        return if wanted == current {
            Ok(Plan::Resume)
        } else {
            Err(format!(
                "{topic} is growing to {current} partitions: finish that first, with `partitions grow {current}`"
            ))
        };
    }
    if wanted == current {
        return Ok(Plan::Nothing);
    }
    if wanted < current {
        return Err(format!(
            "{topic} has {current} partitions and can't shrink to {wanted}: what stands in them would have to be merged in an \
             order that nobody knows"
        ));
    }
    let most = u32::from(KEY_GROUPS);
    if wanted > most {
        return Err(format!("{wanted} partitions are more than the {most} key groups: some would stay empty for ever"));
    }
    if current == 0 || !wanted.is_multiple_of(current) {
        let below = wanted / current.max(1) * current;
        let above = below + current;
        let near = [below, above].into_iter().filter(|n| *n > current && *n <= most).map(|n| n.to_string());
        return Err(format!(
            "{topic} has {current} partitions: {wanted} is no multiple of that, so that a new one would go on with parts of \
             several; take {}",
            near.collect::<Vec<_>>().join(" or ")
        ));
    }
    let generations = now.generations.iter().copied().chain([wanted]).collect();
    Ok(Plan::Begin(Partitions { topic, generations, phase: GrowthPhase::Closing }))
}

/// How many processes of a role it takes to own so many partitions.
pub(super) fn processes(partitions: u32) -> u32 {
    partitions.div_ceil(PARTITIONS_OWNED_MAX as u32)
}

/// The gateways that have not said yet that they left a generation.
pub(super) fn stragglers<'a>(leases: impl Iterator<Item = &'a Lease>, generation: u32) -> Vec<&'a str> {
    leases
        .filter(|lease| lease.role == ProcessRole::Gateway && lease.left.is_none_or(|left| left < generation))
        .map(|lease| lease.instance.as_str())
        .collect()
}

#[cfg(test)]
mod tests {
    use logystera_schemas::control::GrowingTopic;

    use super::*;

    fn now(generations: &[u32], phase: GrowthPhase) -> Partitions {
        Partitions { topic: GrowingTopic::Signals, generations: generations.to_vec(), phase }
    }

    #[test]
    fn what_can_grow_does_and_what_cannot_says_why() {
        use GrowthPhase::{Closing, Moving, Open};
        let table: [(&[u32], _, u32, Result<&str, &str>); 11] = [
            (&[4], Open, 16, Ok("begin [4, 16]")),
            (&[4, 16], Open, 32, Ok("begin [4, 16, 32]")),
            (&[1], Open, 1_024, Ok("begin [1, 1024]")),
            (&[4], Open, 4, Ok("nothing")),
            (&[4, 16], Closing, 16, Ok("resume")),
            (&[4, 16], Moving, 16, Ok("resume")),
            (&[4, 16], Moving, 32, Err("grow 16")),
            (&[4], Open, 2, Err("can't shrink")),
            (&[4], Open, 0, Err("can't shrink")),
            (&[4], Open, 6, Err("take 8")),
            (&[4], Open, 2_048, Err("key groups")),
        ];
        for (generations, phase, wanted, expected) in table {
            let planned = match plan(&now(generations, phase), wanted) {
                Ok(Plan::Nothing) => Ok("nothing".to_owned()),
                Ok(Plan::Resume) => Ok("resume".to_owned()),
                Ok(Plan::Begin(next)) => {
                    assert_eq!(next.phase, Closing);
                    Ok(format!("begin {:?}", next.generations))
                }
                Err(why) => Err(why),
            };
            match (planned, expected) {
                (Ok(planned), Ok(expected)) => assert_eq!(planned, expected),
                (Err(why), Err(says)) => assert!(why.contains(says), "{why}"),
                (planned, expected) => panic!("{generations:?} to {wanted}: {planned:?}, not {expected:?}"),
            }
        }
        assert!(plan(&now(&[4], Open), 10).unwrap_err().ends_with("take 8 or 12"));
        assert!(plan(&now(&[600], Open), 1_000).unwrap_err().contains("no multiple"));
    }

    #[test]
    fn who_has_not_left_is_waited_for() {
        let lease = |role, instance: &str, left| Lease {
            role,
            instance: instance.to_owned(),
            incarnation: 1,
            renewal: 1,
            left,
            released: false,
            at: None,
            ticks: false,
        };
        let leases = [
            lease(ProcessRole::Gateway, "never", None),
            lease(ProcessRole::Gateway, "earlier", Some(0)),
            lease(ProcessRole::Gateway, "left", Some(1)),
            lease(ProcessRole::Processor, "no gateway", None),
        ];
        assert_eq!(stragglers(leases.iter(), 1), ["never", "earlier"]);
    }

    #[test]
    fn a_process_owns_sixteen() {
        assert_eq!([1, 16, 17, 64].map(processes), [1, 1, 2, 4]);
    }
}
