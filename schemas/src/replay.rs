//! The anti-replay window of one spool (RFC 6479, section 3, in its idea): the highest batch number, a bitmap of the
//! numbers below it, and digests of the newest. The gateway keeps one as a cache; the engine's is the one that counts.

use std::collections::BTreeMap;

use crate::avro::{Datum, DecodeError, Reader, Writer};
use crate::ids::Sha256Digest;
use crate::limits::{REPLAY_DIGESTS, REPLAY_WINDOW};

/// Words of the bitmap: one more than the window needs, for the highest number itself.
const WORDS: usize = (REPLAY_WINDOW / 64) as usize + 1;
const BITS: u64 = 64 * WORDS as u64;

/// What the window says of a batch number and its digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Not seen before.
    New,
    /// Seen with the same bytes, or so long ago that the bytes can't be compared.
    Duplicate,
    /// Seen with other bytes.
    Conflict,
    /// Too far below the highest to know.
    BelowWindow,
}

/// The batch numbers of one spool that were seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplayWindow {
    highest: u64,
    /// Bit `seq % BITS` tells whether `seq` was seen, for the highest number and the `REPLAY_WINDOW` below it.
    bitmap: [u64; WORDS],
    /// First 8 bytes of the digests of the highest `REPLAY_DIGESTS` numbers that were seen.
    digests: BTreeMap<u64, [u8; 8]>,
}

impl ReplayWindow {
    /// Highest number seen; 0 if none was.
    pub fn highest(&self) -> u64 {
        self.highest
    }

    /// What is known of this batch. Changes nothing.
    pub fn look(&self, seq: u64, digest: &Sha256Digest) -> Seen {
        if seq > self.highest {
            return Seen::New;
        }
        if self.highest - seq > REPLAY_WINDOW {
            return Seen::BelowWindow;
        }
        if !self.bit(seq) {
            return Seen::New;
        }
        match self.digests.get(&seq) {
            Some(known) if *known != head(digest) => Seen::Conflict,
            _ => Seen::Duplicate,
        }
    }

    /// Whether a batch of this number can be compared with the one that was seen: its digest is still known.
    pub fn compares(&self, seq: u64) -> bool {
        self.digests.contains_key(&seq)
    }

    /// Marks a batch as seen. One below the window is left unmarked.
    pub fn mark(&mut self, seq: u64, digest: &Sha256Digest) {
        if seq > self.highest {
            if seq - self.highest >= BITS {
                self.bitmap = [0; WORDS];
            } else {
                (self.highest + 1..seq).for_each(|skipped| self.set(skipped, false));
            }
            self.highest = seq;
        } else if self.highest - seq > REPLAY_WINDOW {
            return;
        }
        self.set(seq, true);
        self.digests.insert(seq, head(digest));
        if self.digests.len() > REPLAY_DIGESTS {
            self.digests.pop_first();
        }
    }

    fn bit(&self, seq: u64) -> bool {
        let place = seq % BITS;
        self.bitmap[(place / 64) as usize] & 1 << (place % 64) != 0
    }

    fn set(&mut self, seq: u64, seen: bool) {
        let place = seq % BITS;
        let word = &mut self.bitmap[(place / 64) as usize];
        *word = *word & !(1 << (place % 64)) | u64::from(seen) << (place % 64);
    }
}

fn head(digest: &Sha256Digest) -> [u8; 8] {
    let mut head = [0; 8];
    head.copy_from_slice(&digest.0[..8]);
    head
}

impl Datum for ReplayWindow {
    fn write(&self, to: &mut Writer) {
        self.highest.write(to);
        self.bitmap.iter().for_each(|word| to.raw(&word.to_le_bytes()));
        to.long(self.digests.len() as i64);
        for (seq, digest) in &self.digests {
            to.long((self.highest - seq) as i64);
            to.raw(digest);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let highest = u64::read(from)?;
        let mut window = Self { highest, ..Self::default() };
        for word in &mut window.bitmap {
            *word = u64::from_le_bytes(*from.fixed()?);
        }
        for _ in 0..from.index(REPLAY_DIGESTS + 1)? {
            let below = u64::read(from)?;
            let seq = highest.checked_sub(below).ok_or(DecodeError::Range)?;
            window.digests.insert(seq, *from.fixed()?);
        }
        Ok(window)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn digest(n: u64) -> Sha256Digest {
        Sha256Digest::of(&n.to_le_bytes())
    }

    #[test]
    fn a_batch_is_new_once() {
        let mut window = ReplayWindow::default();
        for (seq, bytes, seen) in [
            (1, 1, Seen::New),
            (1, 1, Seen::Duplicate),
            (1, 2, Seen::Conflict),
            (5, 5, Seen::New),
            (3, 3, Seen::New),
            (3, 3, Seen::Duplicate),
            (2_000, 0, Seen::New),
            (5, 5, Seen::BelowWindow),
            (1_999 - REPLAY_WINDOW, 0, Seen::BelowWindow),
            (2_000 - REPLAY_WINDOW, 0, Seen::New),
            (u64::MAX, 0, Seen::New),
            (u64::MAX, 0, Seen::Duplicate),
            (2_000, 0, Seen::BelowWindow),
        ] {
            assert_eq!(window.look(seq, &digest(bytes)), seen, "{seq}");
            window.mark(seq, &digest(if seen == Seen::Conflict { 1 } else { bytes }));
        }
    }

    #[test]
    fn only_the_newest_can_be_compared() {
        let mut window = ReplayWindow::default();
        (1..=100).for_each(|seq| window.mark(seq, &digest(seq)));
        let newest = 100 - REPLAY_DIGESTS as u64;
        for (seq, compares) in [(newest, false), (newest + 1, true), (100, true), (101, false)] {
            assert_eq!(window.compares(seq), compares, "{seq}");
        }
        // What can't be compared is a repetition as far as anybody knows.
        assert_eq!(window.look(newest, &digest(0)), Seen::Duplicate);
        assert_eq!(window.look(newest + 1, &digest(0)), Seen::Conflict);
    }

    proptest! {
        #[test]
        fn agrees_with_a_set(steps in proptest::collection::vec((0_u64..40, prop::bool::ANY), 1..300), jump in 1_u64..1_500) {
            let (mut window, mut seen) = (ReplayWindow::default(), BTreeSet::new());
            let mut base = 1;
            for (step, leap) in steps {
                base += if leap { jump % 97 } else { 0 };
                let seq = base + step;
                let highest = seen.last().copied().unwrap_or(0);
                let expected = if seq + REPLAY_WINDOW < highest {
                    Seen::BelowWindow
                } else if seen.contains(&seq) {
                    Seen::Duplicate
                } else {
                    Seen::New
                };
                prop_assert_eq!(window.look(seq, &digest(seq)), expected);
                window.mark(seq, &digest(seq));
                if expected == Seen::New {
                    seen.insert(seq);
                }
            }
            let mut bytes = Writer::new();
            window.write(&mut bytes);
            let bytes = bytes.into_bytes();
            prop_assert_eq!(ReplayWindow::read(&mut Reader::new(&bytes)), Ok(window));
        }
    }
}
