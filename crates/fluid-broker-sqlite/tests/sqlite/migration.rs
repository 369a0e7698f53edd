//! A file of an older version becomes one of this version, with everything in it.

use std::time::Duration;

use fluid_broker_sqlite::{SqliteBroker, SqliteOptions};
use fluid_core::{
    AttemptOutcome, Broker, Enqueued, Finish, Finished, JsonText, LeaseRef, LeaseToken, RunFilter,
    RunId, RunState, Tick, Ticked, Unique,
};
use rusqlite::Connection;
use tokio::task::JoinSet;

use crate::stage::{Folder, ids, lease, new_run, task, wish, wish_for};

/// Schema version 1, with some of everything in it.
const V1: &str = include_str!("v1.sql");

/// What the file of version 1 holds.
const SUCCEEDED: &str = "01a21158-3574-71fd-adfe-d0f9f606da95";
const RUNNING: &str = "01a21158-3588-7731-910a-5f9c02255888";
const RUNNING_TOKEN: i64 = 282_791_848_664_688_628;
const SCHEDULED: &str = "01a21158-3598-735d-a308-0ef9bf4f7dd6";
const KEYED: [&str; 3] = [
    "01a21158-3594-74cc-8925-eb96db7910d7",
    "01a21158-3595-7508-b2ac-82c165f96fb9",
    "01a21158-3596-7735-acd5-0dc545c86332",
];

fn run(id: &str) -> RunId {
    id.parse().unwrap()
}

fn old_file() -> Folder {
    let folder = Folder::new();
    let connection = Connection::open(folder.file()).unwrap();
    connection.execute_batch(V1).unwrap();
    folder
}

fn version(folder: &Folder) -> u32 {
    let connection = Connection::open(folder.file()).unwrap();
    let version = connection.query_row("PRAGMA user_version", [], |row| row.get(0));
    version.unwrap()
}

/// The text of the schema, which is all there is to a version.
fn schema(folder: &Folder) -> Vec<String> {
    let connection = Connection::open(folder.file()).unwrap();
    let mut get = connection
        .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")
        .unwrap();
    let texts = get.query_map([], |row| row.get(0)).unwrap();
    texts.map(Result::unwrap).collect()
}

#[tokio::test]
async fn a_migration_says_which_version_was_there() {
    let migrate = async |folder: &Folder| {
        let options = SqliteOptions::new(folder.file());
        SqliteBroker::migrate(&options).await.unwrap()
    };
    let (old, empty) = (old_file(), Folder::new());
    for (folder, found) in [(&old, 1), (&empty, 0)] {
        assert_eq!(migrate(folder).await, (found, 2));
        assert_eq!(migrate(folder).await, (2, 2));
        assert_eq!(version(folder), 2);
    }
}

#[tokio::test]
async fn a_file_of_version_1_is_upgraded_with_all_its_runs() {
    let folder = old_file();
    assert_eq!(version(&folder), 1);
    let broker = folder.open().await;

    let stats = broker.stats().await.unwrap();
    let counted = [
        (RunState::Queued, 4),
        (RunState::Scheduled, 1),
        (RunState::Running, 1),
        (RunState::Success, 1),
    ];
    for (state, count) in counted {
        assert_eq!(stats.count(state), count, "{state:?}");
    }
    let succeeded = broker.get(run(SUCCEEDED)).await.unwrap().unwrap();
    let result = succeeded.result.as_ref().map(JsonText::as_str);
    assert_eq!(result, Some(r#"{"width":640}"#));
    assert_eq!(succeeded.params.secret_paths(), ["/token"]);
    let attempts = broker.attempts(run(SUCCEEDED)).await.unwrap();
    let outcomes: Vec<_> = attempts.iter().map(|attempt| attempt.outcome).collect();
    assert_eq!(outcomes, [AttemptOutcome::Failure, AttemptOutcome::Success]);
    let log = broker.read_logs(run(SUCCEEDED), 0, 10).await.unwrap();
    assert_eq!(log[0].line.text, "10 % done");
    let settings = broker.settings().await.unwrap();
    assert_eq!(settings.disabled_tasks, [task("import")]);
    assert_eq!(settings.paused_queues[0].as_str(), "slow");
    let children = RunFilter {
        parent: Some(run(SUCCEEDED)),
        ..RunFilter::default()
    };
    let children = broker.list(children, None, 10).await.unwrap();
    assert_eq!(children.runs[0].id, run(RUNNING));
}

#[tokio::test]
async fn what_waited_or_ran_in_a_file_of_version_1_goes_on() {
    let folder = old_file();
    let broker = folder.open().await;

    let held = LeaseRef {
        run: run(RUNNING),
        token: LeaseToken::from_i64(RUNNING_TOKEN),
    };
    let success = Finish::Success(JsonText::null());
    let finished = broker.finish(vec![(held, success)]).await.unwrap();
    assert_eq!(finished, [Finished::Written(RunState::Success)]);

    let mut limits = fluid_core::TaskLimits::none(task("mail"));
    limits.max_concurrency = 1;
    let claimed = broker.claim(wish(vec![limits], 10)).await.unwrap();
    assert_eq!(ids(&claimed.runs), [run(KEYED[0]), run(KEYED[2])]);
    let released = vec![(lease(&claimed.runs[0]), Finish::Released)];
    broker.finish(released).await.unwrap();
    let claimed = broker.claim(wish_for("mail", 10)).await.unwrap();
    assert_eq!(ids(&claimed.runs), [run(KEYED[0]), run(KEYED[1])]);

    let mut twin = new_run("report");
    twin.unique = Some(Unique {
        key: "yearly".into(),
        window: None,
    });
    let enqueued = broker.enqueue(vec![twin]).await.unwrap();
    assert_eq!(enqueued, [Enqueued::Duplicate(run(SCHEDULED))]);
    let tick = Tick {
        task: task("report"),
        instant: "2026-11-25T06:00:00Z".parse().unwrap(),
        run: new_run("report"),
    };
    let ticked = broker.tick(vec![tick]).await.unwrap();
    assert_eq!(ticked, [Ticked::AlreadyFired]);
}

#[tokio::test]
async fn an_upgraded_file_has_the_schema_of_a_new_one() {
    let (old, new) = (old_file(), Folder::new());
    drop((old.open().await, new.open().await));
    assert_eq!(schema(&old), schema(&new));
    assert_eq!(version(&old), version(&new));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn handles_that_upgrade_at_once_wait_for_one_another() {
    for new in [false, true] {
        let folder = if new { Folder::new() } else { old_file() };
        let mut opening = JoinSet::new();
        for _ in 0..8 {
            let options = SqliteOptions::new(folder.file()).busy_deadline(Duration::from_secs(30));
            opening.spawn(async move {
                let broker = SqliteBroker::open(options).await.unwrap();
                broker.enqueue(vec![new_run("mail")]).await.unwrap();
                broker
            });
        }
        let brokers = opening.join_all().await;
        let stats = brokers[0].stats().await.unwrap();
        let queued = if new { 8 } else { 8 + 4 };
        assert_eq!(stats.count(RunState::Queued), queued);
    }
}
