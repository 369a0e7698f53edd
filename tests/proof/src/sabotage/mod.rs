//! Brokers that are broken on purpose, to show that the checker sees it.

mod fencing;
mod loss;
mod switches;
mod ticks;

use std::str::FromStr;
use std::sync::Arc;

use fluid_core::Broker;

use crate::around::Wrapped;

pub use fencing::Tokens;

/// What is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// Whoever had a run once may write to it for ever.
    Fencing,
    /// A tick that fired fires again for each scheduler that comes.
    Ticks,
    /// Some runs are acknowledged and forgotten.
    Loss,
    /// Paused queues and disabled tasks are claimed from.
    Switches,
}

impl Sabotage {
    /// Every way.
    pub const ALL: [Self; 4] = [Self::Fencing, Self::Ticks, Self::Loss, Self::Switches];

    /// The word used on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fencing => "fencing",
            Self::Ticks => "ticks",
            Self::Loss => "loss",
            Self::Switches => "switches",
        }
    }

    /// The same broker, broken. `tokens` are those of all processes on it.
    pub fn of(self, broker: Arc<dyn Broker>, tokens: Tokens) -> Arc<dyn Broker> {
        match self {
            Self::Fencing => Wrapped::of(broker, fencing::Unfenced::new(tokens)),
            Self::Ticks => Wrapped::of(broker, ticks::TicksAgain),
            Self::Loss => Wrapped::of(broker, loss::Forgetful::default()),
            Self::Switches => Wrapped::of(broker, switches::AlwaysOn::default()),
        }
    }
}

impl FromStr for Sabotage {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|sabotage| sabotage.as_str() == word)
            .ok_or_else(|| format!("{word:?} is no sabotage: use fencing, ticks, loss or switches"))
    }
}
