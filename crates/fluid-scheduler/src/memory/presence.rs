//! Which consumers live.

use std::collections::BTreeMap;

use fluid_core::{ConsumerId, ConsumerInfo};
use jiff::Timestamp;

/// The consumers, and until when each is believed to live.
#[derive(Debug, Default)]
pub(super) struct Presence {
    consumers: BTreeMap<ConsumerId, (ConsumerInfo, Timestamp)>,
}

impl Presence {
    pub(super) fn heartbeat(&mut self, mut info: ConsumerInfo, now: Timestamp, until: Timestamp) {
        info.seen_at = now;
        self.consumers.retain(|_, (_, until)| *until > now);
        self.consumers.insert(info.id.clone(), (info, until));
    }

    pub(super) fn farewell(&mut self, consumer: &ConsumerId) {
        self.consumers.remove(consumer);
    }

    pub(super) fn alive(&self, now: Timestamp) -> Vec<ConsumerInfo> {
        self.consumers
            .values()
            .filter(|(_, until)| *until > now)
            .map(|(info, _)| info.clone())
            .collect()
    }
}
