//! What lies between a process and its broker: delays, failures, events that never come.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fluid_core::{Broker, BrokerError, BrokerResult, Event};
use fluid_proof::What;
use fluid_proof::{Around, Dice, Gate, Ledger};
use tokio::sync::broadcast;
use tokio::time::sleep;

/// The weather of all processes.
#[derive(Debug, Default)]
pub(crate) struct Sky {
    /// Nothing is delayed and nothing fails any more.
    calm: AtomicBool,
    /// Nobody reaches the broker.
    outage: AtomicBool,
}

impl Sky {
    pub(crate) fn clear(&self) {
        self.outage.store(false, Ordering::Relaxed);
        self.calm.store(true, Ordering::Relaxed);
    }

    pub(crate) fn set_outage(&self, outage: bool) {
        self.outage.store(outage, Ordering::Relaxed);
    }
}

/// Where a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fails {
    /// It never came to the broker.
    Before,
    /// It took effect, and its answer got lost.
    After,
}

/// What becomes of one call.
struct Fate {
    before: Duration,
    after: Duration,
    fails: Option<Fails>,
}

/// The weather of one process.
#[derive(Debug)]
pub(crate) struct Weather {
    sky: Arc<Sky>,
    dice: Mutex<Dice>,
    gate: Gate,
    ledger: Ledger,
    /// Its events never come.
    deaf: bool,
    /// Keeps the channel of a deaf process open.
    silence: broadcast::Sender<Event>,
}

impl Weather {
    pub(crate) fn new(sky: Arc<Sky>, mut dice: Dice, gate: Gate, ledger: Ledger) -> Self {
        let deaf = dice.percent(25);
        Self {
            sky,
            dice: Mutex::new(dice),
            gate,
            ledger,
            deaf,
            silence: broadcast::Sender::new(1),
        }
    }

    fn fate(&self) -> Fate {
        let mut dice = self.dice.lock().unwrap_or_else(PoisonError::into_inner);
        let mut delay = || match dice.number(0..=99) {
            0..70 => Duration::ZERO,
            70..90 => dice.millis(1..=20),
            90..98 => dice.millis(20..=400),
            // Longer than a lease lasts.
            _ => dice.millis(400..=5000),
        };
        let (before, after) = (delay(), delay());
        let fails = match dice.number(0..=99) {
            0..2 => Some(Fails::Before),
            2..4 => Some(Fails::After),
            _ => None,
        };
        if self.sky.calm.load(Ordering::Relaxed) {
            return Fate {
                before: Duration::ZERO,
                after: Duration::ZERO,
                fails: None,
            };
        }
        Fate {
            before,
            after,
            fails,
        }
    }

    fn unreachable(&self, name: &str, when: Fails) -> BrokerError {
        self.trace(format!("{name} failed: {when:?}"));
        BrokerError::Unreachable {
            broker: "simulated".to_owned(),
            reason: format!("{name} met bad weather"),
            source: None,
        }
    }

    fn trace(&self, text: String) {
        self.ledger.note(What::Trace { text });
    }
}

async fn pause(duration: Duration) {
    if !duration.is_zero() {
        sleep(duration).await;
    }
}

impl Around for Weather {
    async fn call<T: Send>(
        &self,
        name: &'static str,
        work: impl Future<Output = BrokerResult<T>> + Send,
    ) -> BrokerResult<T> {
        let fate = self.fate();
        self.trace(format!("{name} begins"));
        pause(fate.before).await;
        self.gate.pass().await;
        if fate.fails == Some(Fails::Before) || self.sky.outage.load(Ordering::Relaxed) {
            return Err(self.unreachable(name, Fails::Before));
        }
        let answer = work.await;
        pause(fate.after).await;
        self.gate.pass().await;
        if fate.fails == Some(Fails::After) {
            return Err(self.unreachable(name, Fails::After));
        }
        self.trace(format!("{name} ends"));
        answer
    }

    fn subscribe(&self, broker: &dyn Broker) -> broadcast::Receiver<Event> {
        if self.deaf {
            self.silence.subscribe()
        } else {
            broker.subscribe()
        }
    }
}
