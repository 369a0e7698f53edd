//! What goes wrong below the broker is told in its own words, loses nothing, and is over when its cause is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fluid_broker_sqlite::{SqliteBroker, SqliteOptions};
use fluid_core::{Broker, BrokerError, Finish, JsonText, NewRun, Params, RunFilter, RunState};
use rusqlite::Connection;

use crate::stage::{Folder, enqueue, lease, new_run, new_runs, task, wish_for};

/// A small file system of its own, unmounted in the end.
struct Mount(PathBuf);

impl Mount {
    /// `None` where this process may not mount.
    fn new(at: PathBuf, size: &str) -> Option<Self> {
        fs::create_dir(&at).unwrap();
        let options = format!("size={size}");
        let mounted = run("mount", &["-t", "tmpfs", "-o", &options, "fluid-test"], &at);
        mounted.then_some(Self(at))
    }

    fn make_read_only(&self) {
        assert!(run("mount", &["-o", "remount,ro"], &self.0));
    }

    fn make_writable(&self) {
        assert!(run("mount", &["-o", "remount,rw"], &self.0));
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        run("umount", &["--lazy"], &self.0);
    }
}

fn run(program: &str, arguments: &[&str], at: &Path) -> bool {
    Command::new(program)
        .args(arguments)
        .arg(at)
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

async fn refused(options: SqliteOptions) -> BrokerError {
    let path = options.path().display().to_string();
    let error = SqliteBroker::open(options).await.unwrap_err();
    assert!(error.to_string().contains(&path), "{error}");
    error
}

fn large_runs(count: usize) -> Vec<NewRun> {
    let params = Params::stored(JsonText::trusted(format!("{:?}", "x".repeat(4000))), []);
    (0..count)
        .map(|_| NewRun::new(task("a"), params.clone()))
        .collect()
}

/// Enqueues batches until there is no room; how many runs went in.
async fn fill(broker: &SqliteBroker) -> u64 {
    let mut inside = 0;
    for _ in 0..10_000 {
        match enqueue(broker, large_runs(7)).await {
            Ok(ids) => inside += ids.len() as u64,
            Err(BrokerError::Full { .. }) => return inside,
            Err(other) => panic!("{other:?}"),
        }
    }
    panic!("the disk never became full");
}

async fn check_whole(broker: &SqliteBroker, inside: u64, path: &Path) {
    assert_eq!(
        broker.stats().await.unwrap().count(RunState::Queued),
        inside
    );
    let listed = broker.list(RunFilter::default(), None, 100_000).await;
    assert_eq!(listed.unwrap().runs.len() as u64, inside);
    let connection = Connection::open(path).unwrap();
    let check: String = connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok");
}

#[tokio::test]
async fn on_a_full_disk_nothing_is_half_written_and_it_goes_on_once_there_is_room() {
    let folder = Folder::new();
    let at = folder.path().join("disk");
    let Some(_mount) = Mount::new(at.clone(), "6m") else {
        eprintln!("this process may not mount: the disk can't be filled for real");
        return;
    };
    let ballast = at.join("ballast");
    fs::write(&ballast, vec![0; 3 << 20]).unwrap();
    let path = at.join("fluid.db");
    let broker = SqliteBroker::open(SqliteOptions::new(&path)).await.unwrap();

    let inside = fill(&broker).await;
    assert!(inside > 50, "{inside} runs");
    check_whole(&broker, inside, &path).await;

    fs::remove_file(&ballast).unwrap();
    enqueue(&broker, large_runs(7)).await.unwrap();
    check_whole(&broker, inside + 7, &path).await;
    let claimed = broker.claim(wish_for("a", 3)).await.unwrap();
    let finishes = claimed.runs.iter().map(lease);
    let finishes = finishes.map(|lease| (lease, Finish::Success(JsonText::null())));
    broker.finish(finishes.collect()).await.unwrap();
    drop(broker);

    let broker = SqliteBroker::open(SqliteOptions::new(&path)).await.unwrap();
    let stats = broker.stats().await.unwrap();
    assert_eq!(stats.count(RunState::Success), 3);
    assert_eq!(stats.count(RunState::Queued), inside + 4);
}

#[tokio::test]
async fn a_full_file_takes_what_fits_again_after_a_purge() {
    let folder = Folder::new();
    let broker = SqliteBroker::open(folder.options().max_pages(200))
        .await
        .unwrap();
    enqueue(&broker, large_runs(10)).await.unwrap();
    let claimed = broker.claim(wish_for("a", 10)).await.unwrap();
    let finishes = claimed.runs.iter().map(lease);
    let finishes = finishes.map(|lease| (lease, Finish::Success(JsonText::null())));
    broker.finish(finishes.collect()).await.unwrap();
    let inside = fill(&broker).await;
    assert!(inside > 10, "{inside} runs");

    let purged = broker.purge(RunFilter::default(), 100).await.unwrap();
    assert_eq!(purged, 10);
    check_whole(&broker, inside, &folder.file()).await;
    enqueue(&broker, large_runs(7)).await.unwrap();
    check_whole(&broker, inside + 7, &folder.file()).await;
}

#[tokio::test]
async fn a_file_that_may_not_be_written_is_read_only() {
    let folder = Folder::new();
    let at = folder.path().join("disk");
    if let Some(mount) = Mount::new(at.clone(), "6m") {
        let options = || SqliteOptions::new(at.join("fluid.db"));
        let broker = SqliteBroker::open(options()).await.unwrap();
        let known = enqueue(&broker, vec![new_run("a")]).await.unwrap();
        drop(broker);

        mount.make_read_only();
        let error = refused(options()).await;
        assert!(matches!(error, BrokerError::ReadOnly { .. }), "{error:?}");
        assert!(error.is_transient());

        mount.make_writable();
        let broker = SqliteBroker::open(options()).await.unwrap();
        assert!(broker.get(known[0]).await.unwrap().is_some());
        return;
    }
    drop(folder.open().await);
    set_mode(&folder.file(), 0o400);
    if fs::File::options().write(true).open(folder.file()).is_ok() {
        eprintln!("this process may write everything, and may not mount");
        return;
    }
    let error = refused(folder.options()).await;
    assert!(matches!(error, BrokerError::ReadOnly { .. }), "{error:?}");
    set_mode(&folder.file(), 0o600);
    folder.open().await;
}

#[tokio::test]
async fn a_directory_that_may_not_be_written_is_told_apart_from_a_missing_one() {
    let folder = Folder::new();
    let at = folder.path().join("disk");
    let mount = Mount::new(at.clone(), "1m");
    match &mount {
        Some(mount) => mount.make_read_only(),
        None => set_mode(&at, 0o500),
    }
    if fs::write(at.join("probe"), "").is_ok() {
        eprintln!("this process may write everything, and may not mount");
        return;
    }
    let error = refused(SqliteOptions::new(at.join("fluid.db"))).await;
    assert!(
        matches!(
            error,
            BrokerError::Unreachable { .. } | BrokerError::ReadOnly { .. }
        ),
        "{error:?}"
    );
    assert!(error.to_string().contains("write permission"), "{error}");
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
    fs::set_permissions(path, permissions).unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_and_what_stands_beside_it_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let folder = Folder::new();
    let broker = folder.open().await;
    enqueue(&broker, vec![new_run("a")]).await.unwrap();
    let mut names = Vec::new();
    for entry in fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{entry:?}");
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["fluid.db", "fluid.db-shm", "fluid.db-wal"]);
}

#[tokio::test]
async fn what_is_no_database_is_left_alone() {
    let folder = Folder::new();
    let text = "These are notes, and no database. ".repeat(100);
    fs::write(folder.file(), &text).unwrap();
    let error = refused(folder.options()).await;
    assert!(matches!(error, BrokerError::Corrupt { .. }), "{error:?}");
    assert!(!error.is_transient());
    assert_eq!(fs::read_to_string(folder.file()).unwrap(), text);
}

#[tokio::test]
async fn an_empty_file_becomes_a_queue() {
    let folder = Folder::new();
    fs::write(folder.file(), "").unwrap();
    let broker = folder.open().await;
    enqueue(&broker, vec![new_run("a")]).await.unwrap();
}

#[tokio::test]
async fn damaged_pages_are_told_by_the_call_that_meets_them() {
    let folder = Folder::new();
    let broker = folder.open().await;
    enqueue(&broker, large_runs(100)).await.unwrap();
    drop(broker);
    let mut bytes = fs::read(folder.file()).unwrap();
    bytes[4096..].fill(0xAB);
    fs::write(folder.file(), &bytes).unwrap();

    let met = match SqliteBroker::open(folder.options()).await {
        Err(error) => error,
        Ok(broker) => broker.claim(wish_for("a", 10)).await.unwrap_err(),
    };
    assert!(matches!(met, BrokerError::Corrupt { .. }), "{met:?}");
    assert!(met.to_string().contains("fluid.db"), "{met}");
}

#[tokio::test]
async fn a_damaged_page_leaves_the_other_calls_alone() {
    let folder = Folder::new();
    let broker = folder.open().await;
    let runs = enqueue(&broker, large_runs(100)).await.unwrap();
    drop(broker);
    let connection = Connection::open(folder.file()).unwrap();
    let root: usize = connection
        .query_row(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'runs_place'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    drop(connection);
    let mut bytes = fs::read(folder.file()).unwrap();
    bytes[(root - 1) * 4096..root * 4096].fill(0xAB);
    fs::write(folder.file(), &bytes).unwrap();

    let broker = folder.open().await;
    let (claimed, beat) = tokio::join!(
        broker.claim(wish_for("a", 10)),
        broker.set_task_enabled(task("a"), false)
    );
    let error = claimed.unwrap_err();
    assert!(matches!(error, BrokerError::Corrupt { .. }), "{error:?}");
    beat.unwrap();
    assert!(broker.get(runs[0]).await.unwrap().is_some());
}

#[tokio::test]
async fn the_file_of_another_application_is_left_alone() {
    let folder = Folder::new();
    for setup in [
        "CREATE TABLE notes (text TEXT)",
        "PRAGMA application_id = 1234; CREATE TABLE notes (text TEXT)",
    ] {
        let _ = fs::remove_file(folder.file());
        let connection = Connection::open(folder.file()).unwrap();
        connection.execute_batch(setup).unwrap();
        drop(connection);
        let before = fs::read(folder.file()).unwrap();
        let error = refused(folder.options()).await;
        assert!(matches!(error, BrokerError::Invalid { .. }), "{error:?}");
        assert!(error.to_string().contains("another application"), "{error}");
        assert_eq!(fs::read(folder.file()).unwrap(), before);
    }
}

#[tokio::test]
async fn the_file_of_a_newer_fluid_is_left_alone() {
    let folder = Folder::new();
    drop(folder.open().await);
    let connection = Connection::open(folder.file()).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let before = fs::read(folder.file()).unwrap();

    let error = refused(folder.options()).await;
    let BrokerError::SchemaTooNew {
        found, supported, ..
    } = error
    else {
        panic!("{error:?}");
    };
    assert!(found == 99 && supported < 99);
    assert_eq!(fs::read(folder.file()).unwrap(), before);
}

#[tokio::test]
async fn a_locked_file_is_told_after_the_deadline_and_taken_once_it_is_free() {
    let folder = Folder::new();
    let deadline = Duration::from_millis(300);
    let broker = SqliteBroker::open(folder.options().busy_deadline(deadline))
        .await
        .unwrap();
    let known = enqueue(&broker, vec![new_run("a")]).await.unwrap();
    let other = Connection::open(folder.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();

    let since = Instant::now();
    let error = enqueue(&broker, vec![new_run("a")]).await.unwrap_err();
    let waited = since.elapsed();
    assert!(matches!(error, BrokerError::Locked { .. }), "{error:?}");
    assert!(error.is_transient());
    assert!(
        waited >= deadline && waited < deadline * 10,
        "it waited {waited:?}"
    );
    assert!(broker.get(known[0]).await.unwrap().is_some());

    other.execute_batch("ROLLBACK").unwrap();
    enqueue(&broker, vec![new_run("a")]).await.unwrap();
    assert_eq!(broker.stats().await.unwrap().count(RunState::Queued), 2);
}

#[tokio::test]
async fn a_file_that_is_locked_while_it_is_opened_is_told_after_the_deadline() {
    let folder = Folder::new();
    let other = Connection::open(folder.file()).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let options = || folder.options().busy_deadline(Duration::from_millis(200));
    let error = refused(options()).await;
    assert!(matches!(error, BrokerError::Locked { .. }), "{error:?}");

    other.execute_batch("ROLLBACK").unwrap();
    drop(other);
    let broker = SqliteBroker::open(options()).await.unwrap();
    enqueue(&broker, new_runs("a", 1)).await.unwrap();
}

#[tokio::test]
async fn a_missing_directory_is_named() {
    let folder = Folder::new();
    let directory = folder.path().join("absent");
    let error = refused(SqliteOptions::new(directory.join("fluid.db"))).await;
    assert!(
        matches!(error, BrokerError::Unreachable { .. }),
        "{error:?}"
    );
    let hint = format!("the directory {directory:?} of");
    assert!(error.to_string().contains(&hint), "{error}");
    assert!(!directory.exists());

    fs::create_dir(&directory).unwrap();
    SqliteBroker::open(SqliteOptions::new(directory.join("fluid.db")))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_directory_is_no_file() {
    let folder = Folder::new();
    let error = refused(SqliteOptions::new(folder.path())).await;
    assert!(matches!(error, BrokerError::Invalid { .. }), "{error:?}");
    assert!(error.to_string().contains("is a directory"), "{error}");
}
