//! What SQLite says, in the words of [`BrokerError`].

use std::io;
use std::path::Path;

use fluid_core::BrokerError;
use rusqlite::ErrorCode;
use rusqlite::ffi;

/// Why something inside did not work; [`Fault::to_error`] says it to the caller.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("{0}")]
    Corrupt(String),
    #[error("schema version {found} is newer than {supported}")]
    TooNew { found: u32, supported: u32 },
    #[error("the file belongs to another application")]
    Foreign { owner: i32 },
    #[error("no journal for several processes")]
    NoWal { mode: String },
    #[error("the file may not be written")]
    ReadOnly,
    #[error(transparent)]
    Disk(io::Error),
    #[error("closed")]
    Closed,
}

pub(crate) type Outcome<T> = Result<T, Fault>;

impl Fault {
    /// True when the same call alone could do better than a whole group of calls.
    pub(crate) fn is_of_one_call(&self) -> bool {
        match self {
            Self::Sqlite(rusqlite::Error::SqliteFailure(failure, _)) => !matches!(
                failure.code,
                ErrorCode::DatabaseBusy
                    | ErrorCode::DatabaseLocked
                    | ErrorCode::ReadOnly
                    | ErrorCode::CannotOpen
                    | ErrorCode::NotADatabase
            ),
            // It is committed, and not to be done again.
            Self::Disk(_) => false,
            _ => true,
        }
    }

    pub(crate) fn to_error(&self, broker: &str, path: &Path) -> BrokerError {
        let broker = broker.to_owned();
        match self {
            Self::Sqlite(error) => sqlite(error, broker, path),
            Self::Corrupt(reason) => BrokerError::Corrupt {
                broker,
                reason: format!("{path:?}: {reason}"),
            },
            Self::TooNew { found, supported } => BrokerError::SchemaTooNew {
                broker,
                found: *found,
                supported: *supported,
            },
            Self::Foreign { owner } => BrokerError::Invalid {
                broker,
                reason: format!(
                    "{path:?} is an SQLite file of another application (application id {owner:#x}), and fluid \
                     leaves it alone: name another file"
                ),
            },
            Self::NoWal { mode } => BrokerError::Invalid {
                broker,
                reason: format!(
                    "{path:?} is on a file system where SQLite can't share a file between processes (journal mode \
                     {mode:?} instead of \"wal\"): put it on a local disk"
                ),
            },
            Self::ReadOnly => BrokerError::ReadOnly {
                broker,
                reason: format!(
                    "{path:?} may not be written by this process: give it write permission on the file and its directory"
                ),
            },
            Self::Disk(error) => BrokerError::Unreachable {
                broker,
                reason: format!("the disk did not take what was written beside {path:?} ({error})"),
                source: None,
            },
            Self::Closed => BrokerError::Closed { broker },
        }
    }
}

/// The one place where SQLite's result codes (<https://www.sqlite.org/rescode.html>) get their meaning.
fn sqlite(error: &rusqlite::Error, broker: String, path: &Path) -> BrokerError {
    use rusqlite::Error as E;
    let (failure, message) = match error {
        E::SqliteFailure(failure, message) => (failure, message),
        E::FromSqlConversionFailure(..)
        | E::IntegralValueOutOfRange(..)
        | E::InvalidColumnType(..)
        | E::Utf8Error(..) => {
            return BrokerError::Corrupt {
                broker,
                reason: format!("{path:?} holds a value that no fluid wrote: {error}"),
            };
        }
        _ => {
            return BrokerError::Other {
                broker,
                reason: error.to_string(),
                source: None,
            };
        }
    };
    let said = message
        .clone()
        .unwrap_or_else(|| failure.to_string().to_lowercase());
    let code = failure.extended_code;
    match failure.code {
        ErrorCode::DiskFull => BrokerError::Full {
            broker,
            reason: format!("the disk or quota below {path:?} is full ({said})"),
        },
        // What SQLite reports when its shared memory or a journal can't grow.
        ErrorCode::SystemIoFailure
            if matches!(code, ffi::SQLITE_IOERR_SHMSIZE | ffi::SQLITE_IOERR_WRITE) =>
        {
            BrokerError::Full {
                broker,
                reason: format!("writing beside {path:?} failed ({said}, code {code})"),
            }
        }
        ErrorCode::ReadOnly => BrokerError::ReadOnly {
            broker,
            reason: format!(
                "{path:?} may not be written by this process ({said}): give it write permission on the file and its directory"
            ),
        },
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => BrokerError::Corrupt {
            broker,
            reason: format!("{path:?}: {said}"),
        },
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => BrokerError::Locked {
            broker,
            reason: format!("{path:?} stayed locked ({said}); see who has it open, and try again"),
        },
        ErrorCode::CannotOpen | ErrorCode::PermissionDenied => BrokerError::Unreachable {
            broker,
            reason: format!(
                "{path:?} can't be opened ({said}): check that its directory exists and may be written"
            ),
            source: Some(Box::new(E::SqliteFailure(*failure, None))),
        },
        ErrorCode::SystemIoFailure => BrokerError::Unreachable {
            broker,
            reason: format!("reading or writing {path:?} failed ({said}, code {code})"),
            source: Some(Box::new(E::SqliteFailure(*failure, None))),
        },
        ErrorCode::TooBig => BrokerError::Invalid {
            broker,
            reason: format!("a value is larger than SQLite keeps ({said})"),
        },
        _ => BrokerError::Other {
            broker,
            reason: format!("{said} (code {code})"),
            source: None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_failure_has_its_meaning_and_names_the_file() {
        let told = |code: i32| {
            let failure = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            Fault::from(failure).to_error("sqlite://x.db", Path::new("x.db"))
        };
        for (code, expected) in [
            (ffi::SQLITE_FULL, "no room left"),
            (ffi::SQLITE_IOERR_SHMSIZE, "no room left"),
            (ffi::SQLITE_READONLY, "read-only"),
            (ffi::SQLITE_READONLY_DIRECTORY, "read-only"),
            (ffi::SQLITE_CORRUPT, "damaged"),
            (ffi::SQLITE_NOTADB, "damaged"),
            (ffi::SQLITE_BUSY, "locked"),
            (ffi::SQLITE_CANTOPEN, "can't be reached"),
            (ffi::SQLITE_IOERR_READ, "can't be reached"),
        ] {
            let error = told(code).to_string();
            assert!(
                error.contains(expected) && error.contains("\"x.db\""),
                "{code}: {error}"
            );
        }
        assert!(told(ffi::SQLITE_FULL).is_transient());
        assert!(!told(ffi::SQLITE_CORRUPT).is_transient());
    }
}
