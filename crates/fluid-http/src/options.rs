//! What the routes are given beside the tasks.

/// What the routes are given beside the tasks and their broker.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HttpOptions {
    /// The application's name, as people know it; `fluid` unless set.
    pub name: String,
    /// Its version; that of this crate unless set.
    pub version: String,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            name: "fluid".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}
