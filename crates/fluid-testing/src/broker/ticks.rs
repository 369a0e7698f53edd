//! Ticks: each is fired once, whoever asks and however often.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fluid_core::{Broker, Enqueued, RunFilter, RunState, Tick, Ticked, Trigger, Unique};
use jiff::{SignedDuration, Timestamp};

use super::stage::{Stage, new_run, success, task, wish};

fn tick(name: &str, instant: Timestamp) -> Tick {
    let mut run = new_run(name);
    run.trigger = Trigger::Schedule;
    Tick {
        task: task(name),
        instant,
        run,
    }
}

async fn fire(broker: &Arc<dyn Broker>, tick: Tick) -> Ticked {
    let ticked = broker.tick(vec![tick]).await.unwrap();
    assert_eq!(ticked.len(), 1);
    ticked[0]
}

async fn count(stage: &Stage<'_>) -> usize {
    stage.listed(RunFilter::default()).await.len()
}

pub(super) async fn a_tick_inserts_its_run(stage: Stage<'_>) {
    let due = tick("a", stage.now());
    let run = due.run.id;
    assert_eq!(fire(&stage.broker, due).await, Ticked::Fired(run));
    let taken = stage.claim_one("a").await;
    assert_eq!((taken.run.id, taken.run.trigger), (run, Trigger::Schedule));
}

pub(super) async fn a_tick_fires_once(stage: Stage<'_>) {
    let now = stage.now();
    fire(&stage.broker, tick("a", now)).await;
    assert_eq!(
        fire(&stage.broker, tick("a", now)).await,
        Ticked::AlreadyFired
    );
    let other = stage.harness.open().await;
    assert_eq!(fire(&other, tick("a", now)).await, Ticked::AlreadyFired);
    let batch = vec![
        tick("a", stage.in_seconds(1)),
        tick("a", stage.in_seconds(1)),
    ];
    let ticked = stage.broker.tick(batch).await.unwrap();
    assert!(
        matches!(ticked[..], [Ticked::Fired(_), Ticked::AlreadyFired]),
        "{ticked:?}"
    );
    assert_eq!(count(&stage).await, 2);
}

pub(super) async fn a_tick_fires_once_though_its_run_is_gone(stage: Stage<'_>) {
    let now = stage.now();
    fire(&stage.broker, tick("a", now)).await;
    let taken = stage.claim_one("a").await;
    stage.finish(&taken, success()).await;
    assert_eq!(
        fire(&stage.broker, tick("a", now)).await,
        Ticked::AlreadyFired
    );
    stage.broker.purge(RunFilter::default(), 10).await.unwrap();
    assert_eq!(
        fire(&stage.broker, tick("a", now)).await,
        Ticked::AlreadyFired
    );
    assert_eq!(stage.broker.last_ticks().await.unwrap()[&task("a")], now);
}

pub(super) async fn the_same_instant_of_two_tasks_is_two_ticks(stage: Stage<'_>) {
    let now = stage.now();
    let ticked = stage
        .broker
        .tick(vec![tick("a", now), tick("b", now)])
        .await;
    let ticked = ticked.unwrap();
    assert!(
        matches!(ticked[..], [Ticked::Fired(_), Ticked::Fired(_)]),
        "{ticked:?}"
    );
}

pub(super) async fn the_latest_tick_is_the_latest_instant(stage: Stage<'_>) {
    assert_eq!(stage.broker.last_ticks().await.unwrap(), BTreeMap::new());
    for seconds in [-120, -60, -180] {
        fire(&stage.broker, tick("a", stage.in_seconds(seconds))).await;
    }
    fire(&stage.broker, tick("b", stage.in_seconds(5))).await;
    let expected = [
        (task("a"), stage.in_seconds(-60)),
        (task("b"), stage.in_seconds(5)),
    ];
    assert_eq!(stage.broker.last_ticks().await.unwrap(), expected.into());
}

pub(super) async fn the_tick_of_a_disabled_task_counts_as_seen(stage: Stage<'_>) {
    let now = stage.now();
    stage
        .broker
        .set_task_enabled(task("a"), false)
        .await
        .unwrap();
    assert_eq!(fire(&stage.broker, tick("a", now)).await, Ticked::Disabled);
    assert_eq!(stage.broker.last_ticks().await.unwrap()[&task("a")], now);
    stage
        .broker
        .set_task_enabled(task("a"), true)
        .await
        .unwrap();
    assert_eq!(
        fire(&stage.broker, tick("a", now)).await,
        Ticked::AlreadyFired
    );
    assert_eq!(count(&stage).await, 0);
    let next = fire(&stage.broker, tick("a", stage.in_seconds(1))).await;
    assert!(matches!(next, Ticked::Fired(_)), "{next:?}");
}

pub(super) async fn a_tick_whose_run_is_a_duplicate_names_the_other_run(stage: Stage<'_>) {
    let unique = Some(Unique {
        key: "k".into(),
        window: None,
    });
    let mut request = new_run("a");
    request.unique.clone_from(&unique);
    let holder = stage.enqueue(request).await;
    let mut due = tick("a", stage.now());
    due.run.unique = unique;
    assert_eq!(
        fire(&stage.broker, due.clone()).await,
        Ticked::Fired(holder)
    );
    assert_eq!(fire(&stage.broker, due).await, Ticked::AlreadyFired);
    assert_eq!(count(&stage).await, 1);
}

pub(super) async fn ticks_are_answered_in_their_order(stage: Stage<'_>) {
    let now = stage.now();
    stage
        .broker
        .set_task_enabled(task("off"), false)
        .await
        .unwrap();
    fire(&stage.broker, tick("a", now)).await;
    let batch = vec![
        tick("off", now),
        tick("b", now),
        tick("a", now),
        tick("a", stage.in_seconds(1)),
    ];
    let (b, a) = (batch[1].run.id, batch[3].run.id);
    assert_eq!(
        stage.broker.tick(batch).await.unwrap(),
        [
            Ticked::Disabled,
            Ticked::Fired(b),
            Ticked::AlreadyFired,
            Ticked::Fired(a)
        ]
    );
}

pub(super) async fn a_tick_is_remembered_for_a_week(stage: Stage<'_>) {
    let first = stage.now();
    fire(&stage.broker, tick("a", first)).await;
    // Other ticks in between give the broker every chance to forget.
    for _ in 0..167 {
        stage.advance(Duration::from_secs(3600));
        fire(&stage.broker, tick("a", stage.now())).await;
    }
    assert_eq!(
        fire(&stage.broker, tick("a", first)).await,
        Ticked::AlreadyFired
    );
}

pub(super) async fn the_latest_tick_is_remembered_for_good(stage: Stage<'_>) {
    let last = stage.now();
    fire(&stage.broker, tick("yearly", last)).await;
    for _ in 0..53 {
        stage.advance(Duration::from_secs(7 * 24 * 3600));
        fire(&stage.broker, tick("weekly", stage.now())).await;
    }
    let remembered = stage.broker.last_ticks().await.unwrap();
    assert_eq!(remembered.get(&task("yearly")), Some(&last));
    let again = fire(&stage.broker, tick("yearly", last)).await;
    assert_eq!(again, Ticked::AlreadyFired);
}

pub(super) async fn old_ticks_that_are_made_up_for_fire_once(stage: Stage<'_>) {
    let other = stage.harness.open().await;
    // Both come back after a month and fire what they missed, the oldest first.
    for day in (0..30).rev() {
        let missed = stage.in_seconds(-day * 24 * 3600);
        let first = fire(&stage.broker, tick("a", missed)).await;
        assert!(matches!(first, Ticked::Fired(_)), "{first:?}");
    }
    for day in (0..30).rev() {
        let missed = stage.in_seconds(-day * 24 * 3600);
        assert_eq!(fire(&other, tick("a", missed)).await, Ticked::AlreadyFired);
    }
    assert_eq!(count(&stage).await, 30);
}

pub(super) async fn ten_schedulers_on_skewed_clocks_fire_each_tick_once(stage: Stage<'_>) {
    const TICKS: i64 = 60;
    let begin = stage.now();
    let mut handles = Vec::new();
    for scheduler in 0..10_i64 {
        // Nine are off by up to 4 s, one by 90 s.
        let offset = if scheduler == 9 {
            90_000
        } else {
            (scheduler - 4) * 1000
        };
        let offset = SignedDuration::from_millis(offset);
        handles.push((stage.harness.open_skewed(offset).await, offset));
    }
    let mut fired = BTreeMap::new();
    let mut last: Vec<i64> = vec![0; handles.len()];
    for _ in 0..TICKS {
        stage.advance(Duration::from_secs(1));
        let mut asked = Vec::new();
        for ((broker, offset), last) in handles.iter().zip(&mut last) {
            // By its own clock so many ticks are due.
            let shows = stage.now().duration_since(begin) + *offset;
            let due = shows.as_secs().clamp(*last, TICKS);
            let ticks: Vec<Tick> = (*last + 1..=due)
                .map(|second| tick("a", begin + SignedDuration::from_secs(second)))
                .collect();
            *last = due;
            let broker = Arc::clone(broker);
            asked.push(tokio::spawn(async move {
                let ticked = broker.tick(ticks.clone()).await.unwrap();
                (ticks, ticked)
            }));
        }
        for asked in asked {
            let (ticks, ticked) = asked.await.unwrap();
            for (tick, ticked) in ticks.iter().zip(ticked) {
                match ticked {
                    Ticked::Fired(run) => {
                        let before = fired.insert(tick.instant, run);
                        assert_eq!(before, None, "{} fired twice", tick.instant);
                    }
                    other => assert_eq!(other, Ticked::AlreadyFired),
                }
            }
        }
    }
    let instants: Vec<Timestamp> = fired.into_keys().collect();
    let expected: Vec<Timestamp> = (1..=TICKS)
        .map(|second| begin + SignedDuration::from_secs(second))
        .collect();
    assert_eq!(instants, expected);
    assert_eq!(i64::try_from(count(&stage).await).unwrap(), TICKS);
}

pub(super) async fn a_fired_run_waits_like_any_other(stage: Stage<'_>) {
    let due = tick("a", stage.in_seconds(-3600));
    let fired = fire(&stage.broker, due).await;
    let Ticked::Fired(run) = fired else {
        panic!("{fired:?}");
    };
    let stored = stage.get(run).await;
    assert_eq!(stored.state, RunState::Queued);
    assert_eq!(stored.created_at, stage.now());
    let again = stage.broker.enqueue(vec![]).await.unwrap();
    assert_eq!(again, [] as [Enqueued; 0]);
    assert_eq!(stage.claim_ids(wish(&["a"])).await, [run]);
}
