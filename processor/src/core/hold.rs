//! What a site holds until its watermark passes it, and the judging of it in the order of time.

use logystera_schemas::avro::DecodeError;
use logystera_schemas::batch::Frame;
use logystera_schemas::catalogue::SignalTypes;
use logystera_schemas::detection::Detection;
use logystera_schemas::ids::SpoolId;
use logystera_schemas::limits::{HELD_BYTES_MAX, HELD_SIGNALS_MAX};
use logystera_schemas::time::SiteMs;

use super::head::{Held, HeldKey};
use super::site::Site;

impl Site {
    /// Switches a spool's types at `from`: at once, or when the watermark gets there. A new spool has its types from the start
    /// of time.
    pub(super) fn hold_or_switch(
        &mut self,
        from: SiteMs,
        spool: SpoolId,
        seq: u64,
        enabled: SignalTypes,
        out: &mut Vec<Detection>,
    ) -> Result<(), DecodeError> {
        let now = self.now();
        if from > now {
            self.hold((from, spool, seq, 0), Held::Enabled(enabled));
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

    pub(super) fn hold(&mut self, key: HeldKey, held: Held) {
        self.held_bytes += held.cost();
        self.changes.held.insert(key);
        if let Some(before) = self.held.insert(key, held) {
            // A spool that made room, or was forgotten, came back with the same number.
            self.held_bytes -= before.cost();
        }
    }

    /// Drops what is held of a spool, as far as `goes` says so.
    pub(super) fn drop_held(&mut self, spool: SpoolId, goes: impl Fn(&Held) -> bool) {
        let of_spool = self.held.extract_if(.., |key, held| key.1 == spool && goes(held));
        for (key, held) in of_spool {
            self.held_bytes -= held.cost();
            self.changes.held.insert(key);
        }
    }

    pub(super) fn run_deadlines_before(&mut self, at: SiteMs, out: &mut Vec<Detection>) {
        while self.board.next_deadline().is_some_and(|deadline| deadline < at) {
            self.board.run_deadline(&mut self.head.voice, out);
        }
    }

    /// Judges everything up to `watermark`: what is held and the deadlines in the order of time, what is held first.
    pub(super) fn release(&mut self, watermark: SiteMs, out: &mut Vec<Detection>) -> Result<(), DecodeError> {
        while let Some(entry) = self.held.first_entry()
            && entry.key().0 <= watermark
        {
            let (key, held) = entry.remove_entry();
            self.held_bytes -= held.cost();
            self.changes.held.insert(key);
            self.run_deadlines_before(key.0, out);
            match held {
                Held::Signal(bytes) => {
                    // The time that counts is the key's; the one in the bytes was the sender's.
                    let signal = Frame::of(&bytes, 0)?;
                    if self.board.watches(signal.kind) {
                        self.board.judge(&signal, key.0, key.0, &mut self.head.voice, out)?;
                    }
                }
                Held::Enabled(enabled) => {
                    let switched = self.switched_by(key.1, enabled);
                    self.switch_spool(key.1, enabled, key.0);
                    self.judge_switched(switched, key.0, out)?;
                }
            }
        }
        self.run_deadlines_before(watermark.plus(1), out);
        let moved = self.head.watermark.is_none_or(|before| before < watermark);
        self.head.watermark = Some(watermark);
        self.board.reached(watermark, moved);
        self.head.outcomes.evicted = self.board.evicted;
        self.changes.head = true;
        Ok(())
    }

    /// Too much is held: the oldest is judged before its time, counted.
    pub(super) fn release_overflow(&mut self, out: &mut Vec<Detection>) -> Result<(), DecodeError> {
        while self.held.len() > HELD_SIGNALS_MAX || self.held_bytes > HELD_BYTES_MAX {
            if !self.release_oldest(out)? {
                break;
            }
        }
        Ok(())
    }

    /// Judges the oldest that is held, and what else is of its time, before its time. Gives whether something was held.
    pub(super) fn release_oldest(&mut self, out: &mut Vec<Detection>) -> Result<bool, DecodeError> {
        let Some((oldest, ..)) = self.held.first_key_value().map(|(key, _)| *key) else { return Ok(false) };
        let before = self.held.len();
        self.release(oldest, out)?;
        self.head.outcomes.released_early += (before - self.held.len()) as u64;
        Ok(true)
    }
}
