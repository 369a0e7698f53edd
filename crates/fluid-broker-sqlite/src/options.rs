//! How a broker is to be opened.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fluid_core::{BrokerError, Clock, LogCap, SystemClock};

/// What survives a loss of power.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// Everything that must not be lost: the [crate's page](crate#durability) says which calls wait for the disk
    /// (`synchronous=FULL`).
    #[default]
    Full,
    /// Everything up to some moment of the last seconds: commits don't wait for the disk (`synchronous=NORMAL`).
    /// The file stays whole, and a killed process loses nothing.
    Normal,
}

/// How long a call waits for other processes unless told otherwise.
const BUSY_DEADLINE: Duration = Duration::from_secs(10);

/// How to open a [`SqliteBroker`](crate::SqliteBroker).
///
/// ```
/// use fluid_broker_sqlite::{Durability, SqliteOptions};
/// use std::time::Duration;
///
/// let options = SqliteOptions::new("fluid.db")
///     .durability(Durability::Normal)
///     .busy_deadline(Duration::from_secs(3));
/// assert_eq!(options.describe(), "sqlite://fluid.db");
/// assert_eq!(SqliteOptions::from_url("sqlite:///var/lib/fluid.db")?.describe(), "sqlite:///var/lib/fluid.db");
/// # Ok::<(), fluid_core::BrokerError>(())
/// ```
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    pub(crate) path: PathBuf,
    pub(crate) durability: Durability,
    pub(crate) busy_deadline: Duration,
    pub(crate) log_cap: LogCap,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) max_pages: Option<u32>,
}

impl SqliteOptions {
    /// The file at `path`, which is made if there is none. Its directory must exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            durability: Durability::Full,
            busy_deadline: BUSY_DEADLINE,
            log_cap: LogCap::default(),
            clock: Arc::new(SystemClock),
            max_pages: None,
        }
    }

    /// The file of a URL: `sqlite://relative.db` or `sqlite:///absolute/path.db`.
    ///
    /// # Errors
    /// [`BrokerError::Invalid`] for another scheme, for a URL without a path, and for a database in memory.
    pub fn from_url(url: &str) -> Result<Self, BrokerError> {
        let invalid = |reason: String| BrokerError::Invalid {
            broker: "sqlite:".to_owned(),
            reason,
        };
        let Some(path) = url.strip_prefix("sqlite:") else {
            return Err(invalid(format!(
                "{url:?} is no URL of this broker: use sqlite://relative.db or sqlite:///absolute/path.db"
            )));
        };
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() {
            return Err(invalid(format!(
                "{url:?} names no file: use sqlite://relative.db or sqlite:///absolute/path.db"
            )));
        }
        if path.starts_with(":memory:") {
            return Err(invalid(format!(
                "{url:?} would be gone with its connection: use the broker memory: instead"
            )));
        }
        Ok(Self::new(path))
    }

    /// What survives a loss of power; [`Durability::Full`] by default.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How long a call waits while other processes keep the file locked, before it fails with
    /// [`BrokerError::Locked`]; 10 s by default.
    #[must_use]
    pub fn busy_deadline(mut self, deadline: Duration) -> Self {
        self.busy_deadline = deadline;
        self
    }

    /// How much of a run's output is kept.
    #[must_use]
    pub fn log_cap(mut self, cap: LogCap) -> Self {
        self.log_cap = cap;
        self
    }

    /// Where the broker's time comes from; the clock of the operating system by default.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The largest number of pages that the file may have, for tests of a full disk.
    #[doc(hidden)]
    #[must_use]
    pub fn max_pages(mut self, pages: u32) -> Self {
        self.max_pages = Some(pages);
        self
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The broker's URL.
    pub fn describe(&self) -> String {
        format!("sqlite://{}", self.path.display())
    }
}

#[cfg(test)]
mod tests {
    use super::SqliteOptions;

    #[test]
    fn urls_name_a_file_or_say_what_is_wrong() {
        for (url, path) in [
            ("sqlite://fluid.db", "fluid.db"),
            ("sqlite:fluid.db", "fluid.db"),
            ("sqlite://data/my fluid.db", "data/my fluid.db"),
            ("sqlite:///var/lib/fluid.db", "/var/lib/fluid.db"),
        ] {
            let options = SqliteOptions::from_url(url).unwrap();
            assert_eq!(options.path().to_str(), Some(path), "{url}");
        }
        for (url, hint) in [
            ("redis://localhost", "no URL of this broker"),
            ("sqlite://", "names no file"),
            ("sqlite::memory:", "use the broker memory:"),
            ("sqlite://:memory:", "use the broker memory:"),
        ] {
            let error = SqliteOptions::from_url(url).unwrap_err().to_string();
            assert!(error.contains(hint) && error.contains(url), "{error}");
        }
    }
}
