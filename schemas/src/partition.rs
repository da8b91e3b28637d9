//! A partition of a topic that may have grown.

use crate::ids::KEY_GROUPS;

/// A generation of a topic: its partitions from one growth to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation {
    /// How often the topic had grown to come to it; 0 for the first.
    pub number: u32,
    /// Its partitions.
    pub partitions: u32,
    /// Partitions of the generation before. None means that this is the first.
    pub parents: Option<u32>,
}

/// A partition of a generation of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PartitionRef {
    /// The generation.
    pub generation: Generation,
    /// Partition.
    pub partition: u32,
}

impl PartitionRef {
    /// The partition of a topic that has one and never grew.
    pub const ONLY: Self = Self { generation: Generation { number: 0, partitions: 1, parents: None }, partition: 0 };

    /// The partition of the generation before that this one's keys were in. None: this is of the first generation.
    /// There is only one parent: each generation has a multiple of the partitions of the one before. The parent's own
    /// parents are not known here.
    pub fn parent(&self) -> Option<Self> {
        let partitions = self.generation.parents?;
        let generation = Generation { number: self.generation.number - 1, partitions, parents: None };
        Some(Self { generation, partition: self.partition % partitions })
    }

    /// Whether a key group is in this partition.
    pub fn has(&self, key_group: u32) -> bool {
        key_group % self.generation.partitions == self.partition
    }

    /// The key groups that are in this partition.
    pub fn key_groups(&self) -> Vec<u16> {
        (0..KEY_GROUPS).filter(|key_group| self.has(u32::from(*key_group))).collect()
    }
}

impl Default for PartitionRef {
    fn default() -> Self {
        Self::ONLY
    }
}

/// As people name it: the partition, and before it the generation from the second one on.
impl std::fmt::Display for PartitionRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.generation.number {
            0 => write!(f, "{}", self.partition),
            number => write!(f, "{number}/{}", self.partition),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_goes_on_with_one_before() {
        let first = Generation { number: 0, partitions: 4, parents: None };
        let second = Generation { number: 1, partitions: 16, parents: Some(4) };
        let of = |generation, partition| PartitionRef { generation, partition };
        let parent = |of: PartitionRef| of.parent().map(|parent| (parent.generation.number, parent.partition));
        assert_eq!(parent(of(first, 3)), None);
        assert_eq!((parent(of(second, 3)), parent(of(second, 14))), (Some((0, 3)), Some((0, 2))));
        assert_eq!((of(first, 3).to_string(), of(second, 14).to_string()), ("3".to_owned(), "1/14".to_owned()));
        for key_group in of(second, 14).key_groups() {
            assert!(of(first, 2).has(u32::from(key_group)), "{key_group}");
        }
    }
}
