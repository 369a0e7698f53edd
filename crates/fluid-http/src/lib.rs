//! See and steer fluid by HTTP: a versioned API, aio-fluid's routes, a dashboard and metrics.
//!
//! [`routes`] is an axum router over a [`TaskManager`](fluid_scheduler::TaskManager): a service mounts it in its own,
//! below any path, since every link is relative. [`Server`] serves it by itself, as `serve` of the command line does.
//!
//! ```
//! use fluid_http::{HttpOptions, routes};
//! use fluid_scheduler::{MemoryBroker, TaskManager};
//! use std::sync::Arc;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let manager = TaskManager::builder().broker(Arc::new(MemoryBroker::new())).build()?;
//! let app: axum::Router = axum::Router::new().nest("/fluid", routes(manager, HttpOptions::default()));
//! # Ok(())
//! # }
//! ```
//!
//! | path | what it is |
//! |---|---|
//! | `/ui/` | the dashboard; `/` leads there |
//! | `/api/v1/…` | the API; `/api/v1/openapi.json` describes it |
//! | `/tasks…` | the routes of aio-fluid, as it answers them |
//! | `/metrics` | what this process measured and what the broker holds, for Prometheus |
//! | `/healthz`, `/readyz` | whether the process lives, and whether it takes work |

mod access;
mod aio;
mod api;
mod filter;
mod guard;
mod health;
mod limits;
mod metrics;
mod options;
mod routes;
mod server;
mod site;
mod ui;

pub use self::metrics::Metrics;
pub use access::{Access, Role, Tokens, TokensError, UserHeader};
pub use limits::Limits;
pub use options::HttpOptions;
pub use routes::routes;
pub use server::Server;
