//! Many schedulers, clocks that differ, one run for each tick.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fluid_broker_sqlite::{SqliteBroker, SqliteOptions};
use fluid_core::{Broker, Clock, MissedTicks, RunState, Schedule, Task, TaskContext, TaskError};
use fluid_scheduler::{TaskManager, TaskScheduler};
use fluid_system_tests::DEADLINE;
use fluid_testing::ManualClock;
use jiff::SignedDuration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const TICKS: i64 = 200;
const SCHEDULERS: usize = 10;

/// Runs that ticks made so far.
async fn fired(broker: &SqliteBroker) -> i64 {
    let stats = broker.stats().await.unwrap();
    i64::try_from(stats.count(RunState::Queued) + stats.count(RunState::Scheduled)).unwrap()
}

/// Virtual time: the runtime's own timers and the brokers' clocks move together, as fast as the work allows.
#[tokio::test(start_paused = true)]
async fn ten_schedulers_fire_each_of_200_ticks_once_although_a_clock_is_90_s_off() {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::new();
    let start = clock.now();
    let stop = CancellationToken::new();
    let mut work = JoinSet::new();
    let mut brokers = Vec::new();
    for number in 0..SCHEDULERS {
        let offset = SignedDuration::from_secs(if number == 3 { 90 } else { 0 });
        let options = SqliteOptions::new(folder.path().join("ticks.db"));
        let options = options.clock(Arc::new(clock.with_offset(offset)));
        let broker = Arc::new(SqliteBroker::open(options).await.unwrap());
        brokers.push(broker.clone());
        let every = Schedule::every(Duration::from_secs(1)).unwrap();
        let task =
            Task::function("tick", |_: TaskContext| async { Ok::<_, TaskError>(()) }).unwrap();
        let task = task.schedule(every).missed(MissedTicks::All);
        let manager = TaskManager::builder()
            .broker(broker)
            .task(task)
            .build()
            .unwrap();
        let stopped = stop.clone();
        work.spawn(async move { TaskScheduler::new(manager).run(stopped).await });
    }
    let end = start.checked_add(SignedDuration::from_secs(TICKS)).unwrap();
    let since = std::time::Instant::now();
    let last_of_all = async {
        while clock.now() <= end {
            tokio::time::sleep(Duration::from_millis(50)).await;
            clock.advance(Duration::from_millis(50));
            // The clocks wait for who works: a scheduler that is a thousand ticks behind drops the oldest.
            let due = clock.now().duration_since(start).as_secs().min(TICKS);
            while fired(&brokers[0]).await < due {
                assert!(since.elapsed() < DEADLINE, "{due} ticks were due");
            }
        }
        // Every scheduler looks once more after the last tick.
        let seen = async || {
            brokers[0]
                .last_ticks()
                .await
                .unwrap()
                .values()
                .next()
                .copied()
        };
        while seen().await.is_none_or(|seen| seen < end) {
            assert!(since.elapsed() < DEADLINE, "the last tick was due");
            tokio::time::sleep(Duration::from_millis(50)).await;
            clock.advance(Duration::from_millis(50));
        }
    };
    last_of_all.await;
    stop.cancel();
    while let Some(ended) = work.join_next().await {
        ended.unwrap().unwrap();
    }

    let mut by_tick: BTreeMap<i64, usize> = BTreeMap::new();
    let all = crate::seen::runs(&*brokers[0], &[]).await;
    for run in &all {
        *by_tick
            .entry(run.due_at.duration_since(start).as_secs())
            .or_default() += 1;
    }
    let due: Vec<i64> = by_tick
        .keys()
        .copied()
        .filter(|tick| *tick <= TICKS)
        .collect();
    let doubled = by_tick.values().filter(|count| **count > 1).count();
    let early = by_tick.len() - due.len();
    println!(
        "{SCHEDULERS} schedulers, one clock 90 s fast: {} runs for {TICKS} ticks, {doubled} doubled, {early} ahead of time by the fast clock",
        due.len()
    );
    assert_eq!(due, (1..=TICKS).collect::<Vec<_>>(), "none is missing");
    assert_eq!(doubled, 0);
    assert!(early > 0, "the fast clock really ran ahead");
}
