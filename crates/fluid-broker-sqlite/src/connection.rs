//! Connections to the file.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use fluid_core::BrokerError;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::error::{Fault, Outcome};
use crate::options::SqliteOptions;
use crate::{durable, schema};

/// Statements that stay prepared; more than the broker has.
const PREPARED: usize = 256;
/// How much of the file the writer keeps in memory.
const WRITER_CACHE_KIB: i32 = 8 * 1024;
const READER_CACHE_KIB: i32 = 1024;
/// After so many pages in the write-ahead log, a commit moves them to the file.
const CHECKPOINT_PAGES: u32 = 2000;
/// A log that once had to grow beyond this is cut back to it.
const JOURNAL_LIMIT: u32 = 64 * 1024 * 1024;

/// Makes the file, readable by its owner alone, since parameters may hold secrets, and says in words why it
/// can't be had.
pub(crate) fn prepare_file(options: &SqliteOptions) -> Result<(), BrokerError> {
    // Closing a second descriptor of a file would drop the locks that SQLite holds on it, so no other thread
    // may open the file while this one makes it.
    static MAKING: Mutex<()> = Mutex::new(());
    let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    let path = &options.path;
    let unreachable = |reason: String, error: Option<io::Error>| BrokerError::Unreachable {
        broker: options.describe(),
        reason,
        source: error.map(Into::into),
    };
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(BrokerError::Invalid {
            broker: options.describe(),
            reason: format!("{path:?} is a directory: name a file in it"),
        }),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match create(path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let parent = path.parent().unwrap_or(path);
                Err(unreachable(
                    format!("the directory {parent:?} of {path:?} does not exist: make it first"),
                    Some(error),
                ))
            }
            Err(error) if error.kind() == io::ErrorKind::StorageFull => Err(BrokerError::Full {
                broker: options.describe(),
                reason: format!("{path:?} can't be made ({error})"),
            }),
            Err(error) => Err(unreachable(
                format!(
                    "{path:?} can't be made ({error}): give this process write permission on its directory"
                ),
                Some(error),
            )),
        },
        Err(error) => Err(unreachable(
            format!(
                "{path:?} can't be looked at ({error}): give this process permission on its directory"
            ),
            Some(error),
        )),
    }
}

fn create(path: &Path) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

fn open(options: &SqliteOptions, path: &Path, closing: &Arc<AtomicBool>) -> Outcome<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.set_prepared_statement_cache_capacity(PREPARED);
    // Otherwise a statement with a bound limit is planned anew whenever it is run.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    wait_while_busy(&mut connection, options.busy_deadline, Arc::clone(closing))?;
    Ok(connection)
}

/// Brings the file to this build's version, and says which it had: 0 when there was nothing in it.
pub(crate) fn migrate(options: &SqliteOptions, path: &Path) -> Outcome<u32> {
    let closing = Arc::default();
    let found = schema::check(&open(options, path, &closing)?)?;
    writer(options, path, &closing)?;
    Ok(found)
}

/// The connection that writes; brings the file to this build's version first.
pub(crate) fn writer(
    options: &SqliteOptions,
    path: &Path,
    closing: &Arc<AtomicBool>,
) -> Outcome<Connection> {
    let mut connection = open(options, path, closing)?;
    if connection.is_readonly("main")? {
        return Err(Fault::ReadOnly);
    }
    schema::check(&connection)?;
    share(&connection, options.busy_deadline)?;
    durable::set(&connection, options.durability)?;
    connection.execute_batch(&format!(
        "PRAGMA foreign_keys = OFF;
         PRAGMA temp_store = MEMORY;
         PRAGMA cache_size = -{WRITER_CACHE_KIB};
         PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES};
         PRAGMA journal_size_limit = {JOURNAL_LIMIT};"
    ))?;
    schema::migrate(&mut connection)?;
    if let Some(pages) = options.max_pages {
        connection.pragma_update(None, "max_page_count", pages)?;
    }
    Ok(connection)
}

/// A connection that only reads.
pub(crate) fn reader(
    options: &SqliteOptions,
    path: &Path,
    closing: &Arc<AtomicBool>,
) -> Outcome<Connection> {
    let connection = open(options, path, closing)?;
    connection.execute_batch(&format!(
        "PRAGMA query_only = ON;
         PRAGMA temp_store = MEMORY;
         PRAGMA cache_size = -{READER_CACHE_KIB};"
    ))?;
    Ok(connection)
}

/// Puts the file into the mode in which several processes may use it at once, which the file then keeps. SQLite
/// does not wait for this lock by itself.
fn share(connection: &Connection, deadline: Duration) -> Outcome<()> {
    let since = Instant::now();
    loop {
        let mode: Result<String, _> =
            connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0));
        match mode {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(mode) => return Err(Fault::NoWal { mode }),
            Err(rusqlite::Error::SqliteFailure(failure, _))
                if failure.code == ErrorCode::DatabaseBusy && since.elapsed() < deadline =>
            {
                thread::sleep(Duration::from_millis(5));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Waits for locks up to the deadline, in short steps: they are held for one commit.
fn wait_while_busy(
    connection: &mut Connection,
    deadline: Duration,
    closing: Arc<AtomicBool>,
) -> Outcome<()> {
    let mut since = Instant::now();
    connection.busy_handler(Some(move |tries: i32| {
        if tries == 0 {
            since = Instant::now();
        }
        if closing.load(Ordering::Relaxed) || since.elapsed() >= deadline {
            return false;
        }
        thread::sleep(Duration::from_micros(if tries < 20 { 500 } else { 4000 }));
        true
    }))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;

    #[test]
    fn a_statement_is_planned_once_whatever_is_bound_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteOptions::new(folder.path().join("fluid.db"));
        prepare_file(&options).unwrap();
        let closing = Arc::default();
        let writer = writer(&options, &options.path, &closing).unwrap();
        let reader = reader(&options, &options.path, &closing).unwrap();
        for connection in [writer, reader] {
            let sql = "SELECT name FROM sqlite_schema WHERE type = ?1 LIMIT ?2";
            let mut statement = connection.prepare(sql).unwrap();
            for limit in 0..5 {
                let rows = statement.query_map(("table", limit), |row| row.get::<_, String>(0));
                assert_eq!(rows.unwrap().count(), limit);
            }
            assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
        }
    }
}
