//! A server of this program, a schema for each test, and short words for what is done to it.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use fluid_broker_postgres::{PostgresBroker, PostgresOptions};
use fluid_core::{
    ClaimRequest, ConsumerId, DEFAULT_LEASE, Finish, JsonText, LeaseRef, LeaseToken, NewRun,
    Params, QueueName, TaskLimits, TaskName, TaskRun,
};
use fluid_test_servers::postgres::{Postgres, PostgresOptions as Server};

/// The server that the tests share which do nothing to it.
pub(crate) fn server() -> &'static Postgres {
    static SERVER: LazyLock<Postgres> = LazyLock::new(|| {
        let options = Server::new().setting("max_locks_per_transaction", "256");
        Postgres::start(&options).unwrap()
    });
    &SERVER
}

/// A name that no other test of this program has.
pub(crate) fn fresh_schema() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Options for a schema of its own on the shared server.
pub(crate) fn options() -> PostgresOptions {
    let options = PostgresOptions::from_url(&server().url("postgres")).unwrap();
    options.schema(&fresh_schema()).unwrap()
}

pub(crate) async fn open() -> PostgresBroker {
    PostgresBroker::open(options()).await.unwrap()
}

pub(crate) fn task(name: &str) -> TaskName {
    TaskName::parse(name).unwrap()
}

pub(crate) fn new_run(name: &str) -> NewRun {
    NewRun::new(task(name), Params::default())
}

pub(crate) fn new_runs(name: &str, count: usize) -> Vec<NewRun> {
    (0..count).map(|_| new_run(name)).collect()
}

/// A claim of these tasks from the default queue.
pub(crate) fn wish(limits: Vec<TaskLimits>, limit: usize) -> ClaimRequest {
    ClaimRequest {
        consumer: ConsumerId::parse("worker-1").unwrap(),
        queues: vec![QueueName::default()].into(),
        tasks: limits.into(),
        limit,
        lease: DEFAULT_LEASE,
    }
}

/// A claim of this task without limits.
pub(crate) fn wish_for(name: &str, limit: usize) -> ClaimRequest {
    wish(vec![TaskLimits::none(task(name))], limit)
}

pub(crate) fn lease((run, token): &(TaskRun, LeaseToken)) -> LeaseRef {
    LeaseRef {
        run: run.id,
        token: *token,
    }
}

pub(crate) fn success() -> Finish {
    Finish::Success(JsonText::null())
}
