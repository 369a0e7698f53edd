//! What the storm (`tests/chaos`) and the simulation (`tests/simulation`) have in common.
//!
//! Every process of theirs works on a broker behind a [`Witness`], which notes in a [`Ledger`] what was asked and what
//! was answered; tasks note there what they really did. When all is over, [`History`] takes the broker's own word for
//! everything, and [`check`](fn@check) holds the two against each other. That the checker sees what it should is shown
//! with brokers that are broken on purpose: [`Sabotage`].

mod around;
pub mod check;
mod dice;
mod entry;
mod gate;
mod history;
mod ids;
mod ledger;
mod load;
mod process;
mod sabotage;
mod tasks;
mod witness;

pub use around::{Around, Wrapped};
pub use check::{Counts, Promise, Verdict, Violation, check};
pub use dice::Dice;
pub use entry::{Entry, Tried, What};
pub use gate::Gate;
pub use history::{Clocks, History, RunHistory};
pub use ids::SkewedIds;
pub use ledger::{Ledger, LedgerFile, LedgerList, Sink};
pub use load::Load;
pub use process::{ClockOff, LEASE, Process};
pub use sabotage::{Sabotage, Tokens};
pub use tasks::{Scene, tasks};
pub use witness::Witness;
