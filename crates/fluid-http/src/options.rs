//! What the routes are given beside the tasks.

use tokio_util::sync::CancellationToken;

use crate::limits::Limits;

/// What the routes are given beside the tasks and their broker.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HttpOptions {
    /// The application's name, as people know it; `fluid` unless set.
    pub name: String,
    /// Its version; that of this crate unless set.
    pub version: String,
    /// How much is taken from those who ask.
    pub limits: Limits,
    /// Cancel it when the process begins to stop: streams and waits then end, and `/readyz` says that it is not ready.
    pub draining: CancellationToken,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            name: "fluid".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            limits: Limits::default(),
            draining: CancellationToken::new(),
        }
    }
}
