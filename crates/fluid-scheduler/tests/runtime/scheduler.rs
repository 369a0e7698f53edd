use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use fluid_core::{Clock, Event, MissedTicks, RunFilter, RunState, Schedule, Task, Trigger};
use fluid_scheduler::{MemoryBroker, TaskManager, TaskScheduler};
use fluid_testing::ManualClock;
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::stage::{AtWork, DEADLINE, manager_on, name, queue, task};

fn hourly(missed: MissedTicks) -> Task {
    let schedule = Schedule::every(Duration::from_secs(3600)).unwrap();
    task("hourly", |_| async { Ok(()) })
        .schedule(schedule)
        .missed(missed)
}

fn scene(missed: MissedTicks) -> (ManualClock, TaskManager) {
    let clock = ManualClock::new();
    let broker = MemoryBroker::with_clock(Arc::new(clock.clone()));
    (clock, manager_on(Arc::new(broker), [hourly(missed)]))
}

async fn runs(manager: &TaskManager) -> usize {
    manager
        .broker()
        .list(RunFilter::default(), None, 10_000)
        .await
        .unwrap()
        .runs
        .len()
}

/// Lets a scheduler work until it has fired `count` runs in all, or until it sleeps when `count` is reached.
async fn until_fired(manager: &TaskManager, count: usize) {
    let scheduler = TaskScheduler::new(manager.clone());
    let stop = CancellationToken::new();
    let mut events = manager.events();
    let watch = async {
        while runs(manager).await < count {
            let _ = events.recv().await;
        }
        stop.cancel();
    };
    let both = async { tokio::join!(scheduler.run(stop.clone()), watch).0.unwrap() };
    let in_time = tokio::time::timeout(DEADLINE, both).await.is_ok();
    assert!(
        in_time,
        "{} of {count} runs were fired in time",
        runs(manager).await
    );
}

/// Lets a scheduler begin, deal with what it finds, and go to sleep.
async fn until_asleep(manager: &TaskManager) {
    let scheduler = TaskScheduler::new(manager.clone());
    let stop = CancellationToken::new();
    let rest = async {
        // The memory broker never waits, so the scheduler sleeps after this many turns.
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        stop.cancel();
    };
    tokio::join!(scheduler.run(stop.clone()), rest).0.unwrap();
}

#[tokio::test]
async fn ticks_that_nobody_saw_are_dealt_with_as_the_task_says() {
    for (missed, expected) in [
        (MissedTicks::Skip, 1),
        (MissedTicks::Once, 2),
        (MissedTicks::All, 5),
    ] {
        let (clock, manager) = scene(missed);
        until_asleep(&manager).await;
        assert_eq!(
            runs(&manager).await,
            0,
            "{missed:?}: nothing was due before the first start"
        );
        // One tick is seen.
        let next = manager.next_ticks(clock.now())[&name("hourly")];
        record_tick(&manager, next).await;
        // Then nobody looks until half an hour after the fifth tick.
        clock.advance(Duration::from_secs(5 * 3600 + 1800));
        until_fired(&manager, expected).await;
        until_asleep(&manager).await;
        assert_eq!(runs(&manager).await, expected, "{missed:?}");
        until_asleep(&manager).await;
        assert_eq!(
            runs(&manager).await,
            expected,
            "{missed:?}: a restart fires nothing again"
        );
    }
}

/// Half an hour passes, and a minute, whenever somebody looks.
#[derive(Debug, Default)]
struct Hurried(AtomicI64);

impl Clock for Hurried {
    fn now(&self) -> Timestamp {
        let looks = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(31 * looks)
    }
}

#[tokio::test]
async fn what_comes_due_while_a_scheduler_begins_is_fired() {
    let broker = MemoryBroker::with_clock(Arc::new(Hurried::default()));
    let manager = manager_on(Arc::new(broker), [hourly(MissedTicks::All)]);
    until_asleep(&manager).await;
    let fired = manager.broker().list(RunFilter::default(), None, 1).await;
    let first = fired.unwrap().runs.pop().map(|run| run.due_at);
    let wanted = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1);
    assert_eq!(first, Some(wanted));
}

async fn record_tick(manager: &TaskManager, instant: jiff::Timestamp) {
    let request = crate::stage::request("hourly", serde_json::json!({}));
    let run = manager.new_run(request).unwrap();
    let tick = fluid_core::Tick {
        task: name("hourly"),
        instant,
        run,
    };
    manager.broker().tick(vec![tick]).await.unwrap();
}

#[tokio::test]
async fn a_schedule_fires_by_itself_and_says_that_it_did() {
    let schedule = Schedule::every(Duration::from_millis(20)).unwrap();
    let manager = manager_on(
        Arc::new(MemoryBroker::new()),
        [task("often", |_| async { Ok(()) }).schedule(schedule)],
    );
    let mut events = manager.events();
    until_fired(&manager, 3).await;
    assert!(matches!(
        events.recv().await.unwrap(),
        Event::Enqueued { .. }
    ));
    let page = manager
        .broker()
        .list(RunFilter::default(), None, 10)
        .await
        .unwrap();
    assert!(page.runs.iter().all(|run| run.trigger == Trigger::Schedule));
}

#[tokio::test]
async fn finished_runs_are_deleted_when_they_are_old_enough() {
    let clock = ManualClock::new();
    let broker = MemoryBroker::with_clock(Arc::new(clock.clone()));
    let manager = manager_on(Arc::new(broker), [task("quick", |_| async { Ok(()) })]);
    let consumer = AtWork::start(&manager);
    let old = queue(&manager, "quick").await;
    assert_eq!(
        crate::stage::ended(&manager, old).await.state,
        RunState::Success
    );
    consumer.stop().await;
    let waiting = queue(&manager, "quick").await;
    clock.advance(Duration::from_secs(3600));
    let scheduler = TaskScheduler::new(manager.clone()).retention(Duration::from_secs(1800));
    let stop = CancellationToken::new();
    let watch = async {
        while manager.broker().get(old).await.unwrap().is_some() {
            tokio::task::yield_now().await;
        }
        stop.cancel();
    };
    let both = async { tokio::join!(scheduler.run(stop.clone()), watch).0.unwrap() };
    tokio::time::timeout(DEADLINE, both)
        .await
        .expect("it is deleted in time");
    assert!(
        manager.broker().get(waiting).await.unwrap().is_some(),
        "what waits is kept"
    );
}
