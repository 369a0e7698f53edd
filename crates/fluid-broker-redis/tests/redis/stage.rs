//! Servers, and short words for what is done to a broker.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use fluid_broker_redis::{RedisBroker, RedisOptions};
use fluid_core::{
    Broker, ClaimRequest, ConsumerId, DEFAULT_LEASE, Finish, JsonText, LeaseRef, LeaseToken,
    NewRun, Params, QueueName, TaskLimits, TaskName, TaskRun,
};
use fluid_test_servers::redis::{self, RedisServer};

/// The one server of those tests that do nothing to it, each with its own prefix.
pub(crate) fn shared() -> &'static RedisServer {
    static SERVER: LazyLock<&RedisServer> =
        LazyLock::new(|| server(&redis::RedisOptions::new()).keep().unwrap());
    *SERVER
}

/// A server of one's own.
pub(crate) fn server(options: &redis::RedisOptions) -> RedisServer {
    RedisServer::start(options).unwrap()
}

/// A prefix that no other test of this program uses.
pub(crate) fn fresh_prefix() -> String {
    static USED: AtomicU32 = AtomicU32::new(0);
    format!("test-{}", USED.fetch_add(1, Ordering::Relaxed))
}

pub(crate) fn options(url: &str, prefix: &str) -> RedisOptions {
    RedisOptions::from_url(url).unwrap().prefix(prefix).unwrap()
}

/// A broker on a server, which gives up soon.
pub(crate) async fn open(url: &str) -> RedisBroker {
    RedisBroker::open(impatient(url)).await.unwrap()
}

pub(crate) fn impatient(url: &str) -> RedisOptions {
    RedisOptions::from_url(url)
        .unwrap()
        .patience(Duration::from_millis(800))
        .answer_within(Duration::from_millis(700))
}

pub(crate) fn task(name: &str) -> TaskName {
    TaskName::parse(name).unwrap()
}

pub(crate) fn new_runs(name: &str, count: usize) -> Vec<NewRun> {
    (0..count)
        .map(|_| NewRun::new(task(name), Params::default()))
        .collect()
}

/// A claim of this task from the default queue.
pub(crate) fn wish_for(name: &str, limit: usize) -> ClaimRequest {
    ClaimRequest {
        consumer: ConsumerId::parse("worker-1").unwrap(),
        queues: vec![QueueName::default()].into(),
        tasks: vec![TaskLimits::none(task(name))].into(),
        limit,
        lease: DEFAULT_LEASE,
    }
}

pub(crate) fn lease((run, token): &(TaskRun, LeaseToken)) -> LeaseRef {
    LeaseRef {
        run: run.id,
        token: *token,
    }
}

/// A success of each.
pub(crate) fn successes(claimed: &[(TaskRun, LeaseToken)]) -> Vec<(LeaseRef, Finish)> {
    claimed
        .iter()
        .map(|one| (lease(one), Finish::Success(JsonText::null())))
        .collect()
}

/// Asks until it goes through, as a consumer does.
pub(crate) async fn insist<T, F: Future<Output = fluid_core::BrokerResult<T>>>(
    mut ask: impl FnMut() -> F,
) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => assert!(error.is_transient() && Instant::now() < deadline, "{error}"),
        }
    }
}

/// Goes through everything once: what a user of the server must be allowed to do.
pub(crate) async fn whole_life(broker: &dyn Broker) {
    let mut events = broker.subscribe();
    broker.enqueue(new_runs("a", 10)).await.unwrap();
    let claimed = broker.claim(wish_for("a", 6)).await.unwrap().runs;
    assert_eq!(claimed.len(), 6);
    let leases = claimed.iter().map(lease).collect();
    broker.extend(leases, DEFAULT_LEASE).await.unwrap();
    broker.finish(successes(&claimed)).await.unwrap();
    let stats = broker.stats().await.unwrap();
    assert_eq!(stats.count(fluid_core::RunState::Success), 6);
    assert_eq!(
        broker
            .purge(fluid_core::RunFilter::default(), 100)
            .await
            .unwrap(),
        6
    );
    let listed = broker
        .list(fluid_core::RunFilter::default(), None, 100)
        .await
        .unwrap();
    assert_eq!(listed.runs.len(), 4);
    let heard = tokio::time::timeout(Duration::from_secs(20), events.recv()).await;
    heard.unwrap().unwrap();
}
