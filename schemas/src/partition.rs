//! A partition of a topic that can grow.

use std::fmt;

use crate::ids::KeyGroup;

/// A partition of a generation of a topic. A topic that grows begins a new generation, with more partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionRef {
    /// How often the topic had grown.
    pub generation: u32,
    /// Partition, from 0.
    pub partition: u32,
    /// Partitions of the generation.
    pub partitions: u32,
}

impl PartitionRef {
    /// The partition of a topic that has one and never grew.
    pub const ONLY: Self = Self { generation: 0, partition: 0, partitions: 1 };

    /// Whether the records of this key group are in it.
    pub fn has(self, key_group: KeyGroup) -> bool {
        key_group.partition(self.partitions) == self.partition
    }
}

impl Default for PartitionRef {
    fn default() -> Self {
        Self::ONLY
    }
}

/// The partition, behind its generation if the topic has grown: `3`, `2/3`.
impl fmt::Display for PartitionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.generation {
            0 => self.partition.fmt(f),
            generation => write!(f, "{generation}/{}", self.partition),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_group_is_in_one_partition() {
        let partitions = 4;
        for number in [0, 1, 5, 1_023] {
            let of = |partition| PartitionRef { generation: 1, partition, partitions };
            let holders: Vec<u32> = (0..partitions).filter(|p| of(*p).has(KeyGroup(number))).collect();
            assert_eq!(holders, [u32::from(number) % partitions]);
        }
        assert!(PartitionRef::ONLY.has(KeyGroup(1_023)));
    }

    #[test]
    fn a_generation_is_shown_once_there_is_more_than_one() {
        assert_eq!(PartitionRef::ONLY.to_string(), "0");
        assert_eq!(PartitionRef { generation: 2, partition: 3, partitions: 8 }.to_string(), "2/3");
    }
}
