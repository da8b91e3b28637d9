//! How much the planners of this process have to do.

/// What this task adds to the process's gauges, which its other partitions share. It is taken back when the task ends.
#[derive(Debug, Default)]
pub(crate) struct Gauges([usize; 3]);

impl Gauges {
    /// Shows these numbers instead of those before.
    pub(crate) fn show(&mut self, now: [usize; 3]) {
        let names = [
            "logystera_alerter_deliveries_waiting",
            "logystera_alerter_attempts_in_flight",
            "logystera_alerter_channels_switched_off",
        ];
        for ((name, now), before) in names.into_iter().zip(now).zip(self.0) {
            metrics::gauge!(name).increment(gauge(now) - gauge(before));
        }
        self.0 = now;
    }
}

impl Drop for Gauges {
    fn drop(&mut self) {
        self.show([0; 3]);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge for people: exact up to 2^52")]
fn gauge(count: usize) -> f64 {
    count as f64
}
