//! PostgreSQL as the broker of fluid: any number of machines, one database.

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
mod query;
mod record;
mod schema;
mod teller;
mod text;
mod tick;
mod tls;
mod transaction;
mod transfer;

pub use broker::PostgresBroker;
pub use options::PostgresOptions;
pub use tls::SslMode;
