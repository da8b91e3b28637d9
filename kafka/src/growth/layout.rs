//! How the topics grew: which generation of each is written, and which partition's state a new one goes on with.

use logystera_infra::directory::Directory;
use logystera_schemas::control::{GrowingTopic, GrowthPhase, Partitions};
use logystera_schemas::partition::Generation;
use logystera_schemas::topic::Topic;

use crate::config::KafkaConfig;

/// How the topics are laid out at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layouts {
    signals: Partitions,
    /// Of `attempts` too.
    detections: Partitions,
    /// Partitions of `snapshots` and of `series`: as many as a changelog has; none of them ever grows.
    outputs: u32,
}

impl Layouts {
    /// As the settings have it: nothing has grown.
    pub fn initial(config: &KafkaConfig) -> Self {
        let first = |topic, partitions| Partitions { topic, generations: vec![partitions], phase: GrowthPhase::Open };
        Self {
            signals: first(GrowingTopic::Signals, config.signals_partitions),
            detections: first(GrowingTopic::Detections, config.detections_partitions),
            outputs: config.changelog_partitions,
        }
    }

    /// As topic `control` has it; as the settings have it if a topic never grew.
    pub fn of(config: &KafkaConfig, directory: &Directory) -> Self {
        let mut layouts = Self::initial(config);
        for topic in GrowingTopic::ALL {
            if let Some(partitions) = directory.partitions(*topic) {
                layouts = layouts.with(Partitions::clone(partitions));
            }
        }
        layouts
    }

    /// The same, with one topic laid out like this; unchanged if that is not sound.
    #[must_use]
    pub fn with(mut self, next: Partitions) -> Self {
        if is_sound(&next) {
            let topic = next.topic;
            *self.of_growing_mut(topic) = next;
        }
        self
    }

    /// Of one topic.
    pub fn of_growing(&self, topic: GrowingTopic) -> &Partitions {
        match topic {
            GrowingTopic::Signals => &self.signals,
            GrowingTopic::Detections => &self.detections,
        }
    }

    fn of_growing_mut(&mut self, topic: GrowingTopic) -> &mut Partitions {
        match topic {
            GrowingTopic::Signals => &mut self.signals,
            GrowingTopic::Detections => &mut self.detections,
        }
    }

    /// How a topic grew; none: it never does.
    fn grown(&self, topic: Topic) -> Option<&Partitions> {
        match topic {
            Topic::Signals => Some(&self.signals),
            Topic::Detections | Topic::Attempts => Some(&self.detections),
            Topic::Control | Topic::Snapshots | Topic::Series => None,
        }
    }

    fn is_in(&self, topic: Topic, phase: GrowthPhase) -> bool {
        self.grown(topic).is_some_and(|partitions| partitions.phase == phase)
    }

    /// Every generation of a topic, the oldest first. `control`, `snapshots` and `series` never grow.
    pub fn generations(&self, topic: Topic) -> Vec<Generation> {
        let partitions = self.grown(topic).map_or(
            match topic {
                Topic::Snapshots | Topic::Series => std::slice::from_ref(&self.outputs),
                _ => &[1],
            },
            |partitions| &partitions.generations,
        );
        let parents = std::iter::once(None).chain(partitions.iter().copied().map(Some));
        let generations = (0..).zip(partitions).zip(parents);
        generations
            .map(|((number, partitions), parents)| Generation { number, partitions: *partitions, parents })
            .collect()
    }

    /// The generation that is written; while one closes, the one that was written last.
    pub fn written(&self, topic: Topic) -> Generation {
        let generations = self.generations(topic);
        let back = if self.is_in(topic, GrowthPhase::Closing) { 2 } else { 1 };
        generations[generations.len().saturating_sub(back)]
    }

    /// The generations whose records are still being applied, the oldest first.
    pub fn read(&self, topic: Topic) -> Vec<Generation> {
        let mut generations = self.generations(topic);
        let written = self.written(topic);
        let from = written.number.saturating_sub(u32::from(self.is_in(topic, GrowthPhase::Moving)));
        generations.retain(|generation| (from..=written.number).contains(&generation.number));
        generations
    }

    /// Whether nobody may write to a topic now: it is about to grow.
    pub fn is_closing(&self, topic: GrowingTopic) -> bool {
        self.of_growing(topic).phase == GrowthPhase::Closing
    }
}

/// Whether a record can be followed: a later version's, or a damaged one, must not divide by nothing.
fn is_sound(partitions: &Partitions) -> bool {
    let generations = &partitions.generations;
    let grows = generations.windows(2).all(|pair| pair[0] > 0 && pair[1] > pair[0] && pair[1] % pair[0] == 0);
    let enough = if partitions.phase == GrowthPhase::Open { 1 } else { 2 };
    grows && generations.len() >= enough && generations.first().is_some_and(|first| *first > 0)
}

#[cfg(test)]
mod tests {
    use logystera_schemas::control::Entity;

    use super::*;

    fn layouts(generations: &[u32], phase: GrowthPhase) -> Layouts {
        let mut directory = Directory::default();
        let generations = generations.to_vec();
        directory.put(Entity::Partitions(Partitions { topic: GrowingTopic::Signals, generations, phase }));
        Layouts::of(&KafkaConfig { signals_partitions: 2, ..KafkaConfig::new("b") }, &directory)
    }

    #[test]
    fn what_is_written_and_read_in_each_phase() {
        for (generations, phase, written, read) in [
            (vec![4], GrowthPhase::Open, (0, 4), vec![0]),
            (vec![4, 8], GrowthPhase::Closing, (0, 4), vec![0]),
            (vec![4, 8], GrowthPhase::Moving, (1, 8), vec![0, 1]),
            (vec![4, 8], GrowthPhase::Open, (1, 8), vec![1]),
            (vec![4, 8, 16], GrowthPhase::Moving, (2, 16), vec![1, 2]),
        ] {
            let layouts = layouts(&generations, phase);
            let now = layouts.written(Topic::Signals);
            let numbers: Vec<u32> = layouts.read(Topic::Signals).iter().map(|generation| generation.number).collect();
            assert_eq!(((now.number, now.partitions), numbers), (written, read), "{generations:?} {phase}");
            assert_eq!(layouts.written(Topic::Detections), layouts.written(Topic::Attempts));
            assert_eq!(layouts.read(Topic::Control).len(), 1);
        }
    }

    #[test]
    fn what_cannot_be_followed_is_not() {
        for (generations, phase) in [
            (vec![], GrowthPhase::Open),
            (vec![0], GrowthPhase::Open),
            (vec![4], GrowthPhase::Moving),
            (vec![4, 6], GrowthPhase::Open),
            (vec![4, 4], GrowthPhase::Open),
            (vec![8, 4], GrowthPhase::Open),
        ] {
            assert_eq!(layouts(&generations, phase).written(Topic::Signals).partitions, 2, "{generations:?} {phase}");
        }
    }
}
