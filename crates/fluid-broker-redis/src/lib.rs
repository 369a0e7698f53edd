//! Redis and Valkey as the broker of fluid: any number of consumers, schedulers and clients on any number of machines.
//!
//! ```no_run
//! use fluid_broker_redis::{RedisBroker, RedisOptions};
//! use fluid_core::{Broker, NewRun, Params, TaskName};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let broker = RedisBroker::open(RedisOptions::from_url("redis://localhost")?).await?;
//! let run = NewRun::new(TaskName::parse("resize")?, Params::default());
//! let id = broker.enqueue(vec![run]).await?[0].run();
//! assert!(broker.get(id).await?.is_some());
//! # Ok(())
//! # }
//! ```
//!
//! # How it works
//!
//! Each call is one Lua script on the server, whatever the size of its batch: one round trip, wholly done or not at
//! all. All keys have one hash tag, so that a cluster takes them in one slot. The time is the server's. Redis 6.2 and
//! later and Valkey will do; docs/redis.md in the repository has the URLs, the keys, and what the server should be told.
//!
//! # Lost answers
//!
//! When a connection is cut nobody knows whether the server did what it was asked. The broker makes the connection anew
//! and asks again, up to [`RedisOptions::patience`], and the server recognizes it:
//!
//! | call | asked again |
//! |---|---|
//! | `enqueue`, `retry` | a run that is there is told as inserted |
//! | `claim` | has a number of its own, under which the server brings the same runs with the same tokens. If nobody was answered in time, the next claim of the same consumer asks for it first |
//! | `finish`, `report_and_finish` | an end that was written with this very token is told as written, also if the caller asks again after an error |
//! | `tick` | a tick whose run is there is told as fired |
//! | `append_logs` | has a number, kept with the log: lines are stored once, also if the caller asks again after an error |
//! | `cancel`, `purge` | what is aborted or gone is told so |
//! | the others | may be done any number of times |
//!
//! A server that stands still carries out all that waits in its buffers once it goes on, each of them once.
//!
//! # Events
//!
//! What this handle does its own listeners hear when the call returns; what others do comes by PUBLISH, one message for
//! each call. The connection for it is made with the first [`subscribe`](fluid_core::Broker::subscribe). Whenever it is
//! made, and with calls that have more to tell than is worth it, [`Event::Changed`](fluid_core::Event::Changed) is told.

mod answer;
mod broker;
mod check;
mod claim;
mod connect;
mod course;
mod end;
mod enqueue;
mod events;
mod fault;
mod find;
mod link;
mod listen;
mod logs;
mod options;
mod place;
mod presence;
mod record;
mod request;
mod script;
mod text;
mod told;
mod transfer;

pub use broker::RedisBroker;
pub use options::RedisOptions;
