//! A site holds what its watermark has not passed, then judges it in the order of time.

use logystera_schemas::avro::DecodeError;
use logystera_schemas::batch::Frame;
use logystera_schemas::catalogue::SignalTypes;
use logystera_schemas::detection::Detection;
use logystera_schemas::ids::SpoolId;
use logystera_schemas::limits::{HELD_BYTES_MAX, HELD_SIGNALS_MAX};
use logystera_schemas::time::SiteMs;

use super::held::{HeldItem, HeldKey};
use super::site::Site;

impl Site {
    /// A spool declares these types from `from` on: they are switched at once, or when the watermark gets there. A new
    /// spool declares them from the start of time: that makes no signal.
    pub(crate) fn hold_or_switch(
        &mut self,
        from: SiteMs,
        spool: SpoolId,
        seq: u64,
        enabled: SignalTypes,
        out: &mut Vec<Detection>,
    ) -> Result<(), DecodeError> {
        let now = self.now();
        if from > now {
            self.hold((from, spool, seq, 0), HeldItem::Enabled(enabled));
            return Ok(());
        }
        if from == SiteMs::MIN {
            self.switch_spool(spool, enabled, now);
            return Ok(());
        }
        let switched = self.switched_by(spool, enabled);
        self.switch_spool(spool, enabled, now);
        self.judge_switched(switched, now, out)?;
        // What was judged may have left a deadline at the very time that was reached.
        self.run_deadlines_before(now.plus(1), out);
        Ok(())
    }

    /// Holds an item under its key.
    pub(crate) fn hold(&mut self, key: HeldKey, held: HeldItem) {
        self.held_bytes += held.bytes();
        self.changes.held.insert(key);
        if let Some(before) = self.held.insert(key, held) {
            // The key is taken if the spool made room, or was forgotten, and came back with the same batch number.
            self.held_bytes -= before.bytes();
        }
    }

    /// Drops those held items of a spool for which `goes` is true.
    pub(crate) fn drop_held(&mut self, spool: SpoolId, goes: impl Fn(&HeldItem) -> bool) {
        let of_spool = self.held.extract_if(.., |key, held| key.1 == spool && goes(held));
        for (key, held) in of_spool {
            self.held_bytes -= held.bytes();
            self.changes.held.insert(key);
        }
    }

    /// Runs the deadlines before `at`, the earliest first.
    pub(crate) fn run_deadlines_before(&mut self, at: SiteMs, out: &mut Vec<Detection>) {
        while self.groups.next_deadline().is_some_and(|deadline| deadline < at) {
            self.groups.run_deadline(&mut self.record.chain, out);
        }
    }

    /// Judges everything up to `watermark`, held items and deadlines, in the order of time; of one time the items
    /// first. The watermark is there then.
    pub(crate) fn release(&mut self, watermark: SiteMs, out: &mut Vec<Detection>) -> Result<(), DecodeError> {
        while let Some(entry) = self.held.first_entry()
            && entry.key().0 <= watermark
        {
            let (key, held) = entry.remove_entry();
            self.held_bytes -= held.bytes();
            self.changes.held.insert(key);
            self.run_deadlines_before(key.0, out);
            match held {
                HeldItem::Signal(bytes) => {
                    // The time that counts is the key's; the one in the bytes was the sender's.
                    let signal = Frame::of(&bytes, 0)?;
                    self.measure(&signal, key.0, false)?;
                    if self.groups.has_subscriber(signal.kind) {
                        self.groups.judge(&signal, key.0, key.0, &mut self.record.chain, out)?;
                    }
                }
                HeldItem::Enabled(enabled) => {
                    let switched = self.switched_by(key.1, enabled);
                    self.switch_spool(key.1, enabled, key.0);
                    self.judge_switched(switched, key.0, out)?;
                }
            }
        }
        self.run_deadlines_before(watermark.plus(1), out);
        let moved = self.record.watermark.is_none_or(|before| before < watermark);
        self.record.watermark = Some(watermark);
        self.groups.reached(watermark, moved);
        self.close_minutes(watermark);
        self.record.outcomes.evicted = self.groups.evicted;
        self.changes.record = true;
        Ok(())
    }

    /// While more is held than one site may hold, judges the oldest early, and counts it.
    pub(crate) fn release_overflow(&mut self, out: &mut Vec<Detection>) -> Result<(), DecodeError> {
        while self.held.len() > HELD_SIGNALS_MAX || self.held_bytes > HELD_BYTES_MAX {
            if !self.release_oldest(out)? {
                break;
            }
        }
        Ok(())
    }

    /// Judges early the oldest held item and what else has its time, and moves the watermark there. False: nothing is
    /// held.
    pub(crate) fn release_oldest(&mut self, out: &mut Vec<Detection>) -> Result<bool, DecodeError> {
        let Some((oldest, ..)) = self.held.first_key_value().map(|(key, _)| *key) else { return Ok(false) };
        let before = self.held.len();
        self.release(oldest, out)?;
        self.record.outcomes.released_early += (before - self.held.len()) as u64;
        Ok(true)
    }
}
