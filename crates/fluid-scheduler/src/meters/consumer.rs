//! How busy a consumer is.

use metrics::{Gauge, gauge};

use super::{BACKLOG, BUSY, SLOTS};

/// A consumer's share of its process's slots and news.
pub(crate) struct Slots {
    all: Share,
    busy: Share,
    backlog: Share,
}

impl Slots {
    pub(crate) fn new(all: usize) -> Self {
        let mut slots = Self {
            all: Share::of(gauge!(SLOTS)),
            busy: Share::of(gauge!(BUSY)),
            backlog: Share::of(gauge!(BACKLOG)),
        };
        slots.all.set(all);
        slots
    }

    /// So many runs are carried out now, and so many pieces of news wait.
    pub(crate) fn set(&mut self, busy: usize, backlog: usize) {
        self.busy.set(busy);
        self.backlog.set(backlog);
    }
}

/// What one consumer adds to a gauge of its process, until it is dropped.
struct Share {
    gauge: Gauge,
    value: usize,
}

impl Share {
    fn of(gauge: Gauge) -> Self {
        // It is there from the first scrape on.
        gauge.increment(0);
        Self { gauge, value: 0 }
    }

    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    fn set(&mut self, value: usize) {
        if value > self.value {
            self.gauge.increment((value - self.value) as f64);
        } else if value < self.value {
            self.gauge.decrement((self.value - value) as f64);
        }
        self.value = value;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}
