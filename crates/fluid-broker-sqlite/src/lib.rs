//! The default broker of fluid: one `SQLite` file, no server.
//!
//! Everything stands in one file and its write-ahead log beside it. Any number of processes of one machine work on
//! it at once; each sees the others' commits within milliseconds.
//!
//! ```
//! use fluid_broker_sqlite::{SqliteBroker, SqliteOptions};
//! use fluid_core::{Broker, NewRun, Params, TaskName};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("fluid.db");
//! let broker = SqliteBroker::open(SqliteOptions::new(path)).await?;
//! let run = NewRun::new(TaskName::parse("resize")?, Params::default());
//! let id = broker.enqueue(vec![run]).await?[0].run();
//! assert!(broker.get(id).await?.is_some());
//! # Ok(())
//! # }
//! ```
//!
//! # Durability
//!
//! What a call reported as done survives the death of any process at any moment. With [`Durability::Full`] (the
//! default) what must not be lost also survives a loss of power: such calls are answered once the disk has what they
//! did (`synchronous=FULL`).
//!
//! | call | what a loss of power may undo |
//! |---|---|
//! | `enqueue` | nothing; others may see and claim a run a moment before the disk has it and `enqueue` answers |
//! | `finish` | nothing; others may find the end in the file a moment before the disk has it, `finish` answers and the event tells |
//! | `tick`, `retry`, `cancel`, `purge`, settings | nothing |
//! | `claim` | the last second, and the runs are claimed anew; nothing for a run that may not be interrupted (`max_interruptions` 0), so that it never starts twice, and nothing if the claim ended runs |
//! | `extend`, `report`, `append_logs`, `heartbeat`, `farewell` | the last second |
//!
//! A loss of power ends every attempt of this machine, and one that goes on elsewhere is adopted by the next claim. So
//! the calls that tell of a running attempt are answered before the disk has them. It has them with the next call that waits for it, or a second later.
//!
//! [`Durability::Normal`] never waits for the disk: the file stays whole, but the last moments before a loss of power
//! may be missing.
//!
//! # Concurrency
//!
//! One thread owns the connection that writes. It takes all calls that wait into one transaction and answers them
//! after its commit, so that the cost of reaching the disk is shared; another waits for the disk, while the writer goes
//! on. Two more threads answer questions, each from one state of the file, without holding up who writes, and one
//! reads the runs that a claim leased. Between processes SQLite's own lock decides; a call waits
//! for it up to [`SqliteOptions::busy_deadline`]. Who commits touches the file, and the others watch it; a look
//! every second finds what a lost notification hid.
//!
//! # Back-up
//!
//! Copying the file alone while it is in use may miss what is still in the log beside it. Use
//! `sqlite3 fluid.db "VACUUM INTO 'backup.db'"`, which works at any time.

mod admission;
mod attempt;
mod broker;
mod cancel;
mod claim;
mod connection;
mod counts;
mod current;
mod durable;
mod enqueue;
mod error;
mod filter;
mod heads;
mod history;
mod instant;
mod lease;
mod logs;
mod migration;
mod names;
mod options;
mod own_leases;
mod place;
#[cfg(test)]
mod plans;
mod presence;
mod purge;
mod query;
mod ranges;
mod reader;
mod record;
mod schema;
mod settings;
mod sql;
mod starts;
mod state;
mod stats;
mod store;
mod tick;
mod transfer;
mod watch;
mod writer;

pub use broker::SqliteBroker;
pub use options::{Durability, SqliteOptions};
