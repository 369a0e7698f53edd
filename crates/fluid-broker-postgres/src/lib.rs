//! PostgreSQL as the broker of fluid: any number of machines, one database.
//!
//! ```no_run
//! use fluid_broker_postgres::{PostgresBroker, PostgresOptions};
//! use fluid_core::{Broker, NewRun, Params, TaskName};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let options = PostgresOptions::from_url("postgres://me:secret@db.example/app?sslmode=verify-full")?;
//! let broker = PostgresBroker::open(options).await?;
//! let run = NewRun::new(TaskName::parse("resize")?, Params::default());
//! let id = broker.enqueue(vec![run]).await?[0].run();
//! assert!(broker.get(id).await?.is_some());
//! # Ok(())
//! # }
//! ```
//!
//! # One statement for each call
//!
//! What a call does stands in functions of the schema, which `open` makes and upgrades under an advisory lock. A
//! batch is one statement without a name, in one round trip and one transaction. Nothing stays in the session, so a
//! pooler in transaction mode may stand in between.
//!
//! # Claims
//!
//! Runs that are not finished have a table of their own, and what waits stands in one index in the order of claiming.
//! A claim passes over rows that other claims have locked (`FOR UPDATE SKIP LOCKED`), so that claims don't wait for each
//! other. Only those of a task with `max_concurrency` or a rate limit go one after the other, by a lock of that task
//! that ends with the transaction: then limits hold exactly.
//!
//! # When the server goes away
//!
//! A call whose answer was lost is made again when the server is back, and finds out what became of it: a run is
//! enqueued once under its id, a claim brings the runs that it had leased, an end that was written counts as
//! written. A call that could not even begin fails at once with an error that
//! [is transient](fluid_core::BrokerError::is_transient). Deadlocks and serialization failures are retried inside.
//!
//! # Durability
//!
//! What a call reported as done has been committed, and survives what the server's `synchronous_commit` says: with the
//! default everything survives a crash and a loss of power.
//!
//! # Events
//!
//! Events of other processes come by `NOTIFY`, on one connection that listens once somebody
//! [subscribes](fluid_core::Broker::subscribe). Where notifications don't come through, as behind a pooler, that
//! is noticed, and changes are looked for every second.
//!
//! # Requests in the caller's own transaction
//!
//! [`PostgresBroker::queue_in`] and [`PostgresBroker::enqueue_statement`] enqueue runs that exist if and only if the
//! caller's transaction commits.

mod broker;
mod calls;
mod claim;
mod code;
mod enqueue;
mod error;
mod events;
mod filter;
mod finish;
mod instant;
mod link;
mod listener;
mod logs;
mod options;
mod pool;
mod presence;
mod query;
mod record;
mod schema;
mod switches;
mod teller;
mod text;
mod tick;
mod tls;
mod transaction;
mod transfer;
mod upkeep;

pub use broker::PostgresBroker;
pub use options::PostgresOptions;
pub use tls::SslMode;
