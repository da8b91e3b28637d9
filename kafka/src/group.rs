//! Which process owns which partition, for a reader that joins no group.

use std::collections::BTreeMap;
use std::time::Duration;

use logystera_infra::log::LogError;
use logystera_schemas::partition::Generation;
use logystera_schemas::topic::Topic;
use rdkafka::consumer::Consumer;
use rdkafka::groups::GroupInfo;

use crate::client::{away, consumer, consuming};
use crate::config::KafkaConfig;

/// How long the group's coordinator may take to answer.
const GROUP_WAIT: Duration = Duration::from_secs(10);

/// The name of the process that the group has given each partition of this generation.
pub(crate) fn owners(
    config: &KafkaConfig,
    app: &str,
    input: Topic,
    generation: Generation,
) -> Result<BTreeMap<u32, String>, LogError> {
    let (group, topic) = (config.group(app), config.topic(input, generation.number));
    let client = consuming(&consumer(config), "the cluster")?;
    let list = client.fetch_group_list(Some(&group), GROUP_WAIT).map_err(|e| away(&group, &e))?;
    let mut owners = BTreeMap::new();
    for member in list.groups().iter().filter(|g| g.name() == group).flat_map(GroupInfo::members) {
        // None: the group has not given this process anything yet.
        let assigned = member.assignment().and_then(|bytes| partitions(bytes, &topic)).unwrap_or_default();
        owners.extend(assigned.into_iter().map(|partition| (partition, member.client_id().to_owned())));
    }
    Ok(owners)
}

/// The partitions of `topic` in a member's assignment: version (2 bytes), count of topics, and for each its name and
/// its partitions; counts and partitions are 4 bytes, a name has 2 for its length; all big-endian (Apache Kafka,
/// "Consumer Embedded Protocol"). None: it is not that.
fn partitions(assignment: &[u8], topic: &str) -> Option<Vec<u32>> {
    let mut rest = assignment;
    let mut take = |bytes: usize| {
        let (head, tail) = rest.split_at_checked(bytes)?;
        rest = tail;
        Some(head)
    };
    let number = |bytes: &[u8]| bytes.iter().fold(0_u32, |n, byte| n << 8 | u32::from(*byte));
    take(2)?;
    let mut found = Vec::new();
    for _ in 0..number(take(4)?) {
        let length = number(take(2)?) as usize;
        let is_it = take(length)? == topic.as_bytes();
        for _ in 0..number(take(4)?) {
            let partition = number(take(4)?);
            if is_it {
                found.push(partition);
            }
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_is_read() {
        let bytes = b"\x00\x01\x00\x00\x00\x02\x00\x01a\x00\x00\x00\x01\x00\x00\x00\x09\
                      \x00\x02ab\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x01\x02\xff\xff\xff\xff";
        assert_eq!(partitions(bytes, "ab"), Some(vec![0, 258]));
        assert_eq!((partitions(bytes, "a"), partitions(bytes, "b")), (Some(vec![9]), Some(vec![])));
        // Cut anywhere before its user data it is none, and nothing is allocated for what it claims.
        for end in 0..bytes.len() - 4 {
            assert_eq!(partitions(&bytes[..end], "ab"), None, "cut at {end}");
        }
        assert_eq!(partitions(b"\x00\x01\xff\xff\xff\xff", "ab"), None);
    }
}
