//! Events: hints that come soon, in this process and in others.

use std::time::Duration;

use fluid_core::{Event, LogBatch, LogLine, LogStream, Progress, Report, RunState};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::stage::{Stage, retry_in, success, task};

/// How long an event may take. Much less is expected.
const SOON: Duration = Duration::from_secs(20);

/// Waits for an event like `wanted`; what is lost counts as `Changed`.
async fn hear(events: &mut Receiver<Event>, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
    let heard = async {
        loop {
            let event = match events.recv().await {
                Ok(event) => event,
                Err(RecvError::Lagged(_)) => Event::Changed,
                Err(RecvError::Closed) => panic!("the events ended before {what}"),
            };
            if wanted(&event) {
                break event;
            }
        }
    };
    let heard = tokio::time::timeout(SOON, heard).await;
    heard.unwrap_or_else(|_| panic!("no event of {what} within {SOON:?}"))
}

pub(super) async fn the_life_of_a_run_is_told(stage: Stage<'_>) {
    let mut events = stage.broker.subscribe();
    let run = stage.enqueue_one("a").await;
    let a = task("a");
    let enqueued = Event::Enqueued {
        run,
        task: a.clone(),
    };
    hear(&mut events, "the request", |event| *event == enqueued).await;
    let taken = stage.claim_one("a").await;
    let started = Event::Started {
        run,
        task: a.clone(),
        attempt: 1,
    };
    hear(&mut events, "the start", |event| *event == started).await;
    let mut report = Report::new(taken.lease());
    report.progress = Some(Progress::new(0.5, ""));
    stage.broker.report(vec![report]).await.unwrap();
    let progress = Event::Progress { run };
    hear(&mut events, "the progress", |event| *event == progress).await;
    let line = LogLine {
        at: stage.now(),
        stream: LogStream::Stdout,
        text: "hi".to_owned(),
    };
    let batch = LogBatch {
        run,
        attempt: 1,
        lines: vec![line],
    };
    stage.broker.append_logs(vec![batch]).await.unwrap();
    let log = Event::Log { run };
    hear(&mut events, "the output", |event| *event == log).await;
    stage.cancel(run).await;
    let cancel = Event::CancelRequested { run };
    hear(&mut events, "the wish to cancel", |event| *event == cancel).await;
    stage.finish(&taken, success()).await;
    let finished = Event::Finished {
        run,
        task: a,
        state: RunState::Success,
    };
    hear(&mut events, "the end", |event| *event == finished).await;
}

pub(super) async fn the_end_of_a_run_that_waited_is_told(stage: Stage<'_>) {
    let run = stage.enqueue_one("a").await;
    let mut events = stage.broker.subscribe();
    stage.cancel(run).await;
    let aborted = Event::Finished {
        run,
        task: task("a"),
        state: RunState::Aborted,
    };
    hear(&mut events, "the end", |event| *event == aborted).await;
}

pub(super) async fn a_retry_is_told(stage: Stage<'_>) {
    let run = stage.enqueue_one("a").await;
    let taken = stage.claim_one("a").await;
    let mut events = stage.broker.subscribe();
    stage.finish(&taken, retry_in(0, "wobbled")).await;
    hear(&mut events, "the retry", |event| {
        matches!(event, Event::Enqueued { run: told, .. } if *told == run)
            || *event == Event::Changed
    })
    .await;
}

pub(super) async fn what_becomes_claimable_by_a_switch_is_told(stage: Stage<'_>) {
    stage
        .broker
        .set_task_enabled(task("a"), false)
        .await
        .unwrap();
    stage.enqueue_one("a").await;
    let mut events = stage.broker.subscribe();
    stage
        .broker
        .set_task_enabled(task("a"), true)
        .await
        .unwrap();
    hear(&mut events, "the switch", |event| {
        matches!(event, Event::Enqueued { .. } | Event::Changed)
    })
    .await;
}

pub(super) async fn another_handle_hears_of_new_runs(stage: Stage<'_>) {
    let other = stage.harness.open().await;
    let mut events = other.subscribe();
    let run = stage.enqueue_one("a").await;
    hear(&mut events, "the request", |event| match event {
        Event::Enqueued { run: told, .. } => *told == run,
        event => *event == Event::Changed,
    })
    .await;
    assert_eq!(other.get(run).await.unwrap().map(|run| run.id), Some(run));
}

pub(super) async fn another_handle_hears_of_ends_and_cancellations(stage: Stage<'_>) {
    let other = stage.harness.open().await;
    let run = stage.enqueue_one("a").await;
    let taken = stage.claim_one("a").await;
    let mut events = stage.broker.subscribe();
    other.cancel(run).await.unwrap();
    hear(&mut events, "the wish to cancel", |event| match event {
        Event::CancelRequested { run: told } => *told == run,
        event => *event == Event::Changed,
    })
    .await;
    let mut events = other.subscribe();
    stage.finish(&taken, success()).await;
    hear(&mut events, "the end", |event| match event {
        Event::Finished { run: told, .. } => *told == run,
        event => *event == Event::Changed,
    })
    .await;
}

pub(super) async fn a_subscriber_hears_nothing_of_before(stage: Stage<'_>) {
    let run = stage.enqueue_one("a").await;
    let mut events = stage.broker.subscribe();
    match events.try_recv() {
        Ok(Event::Changed) | Err(TryRecvError::Empty) => {}
        other => panic!("{other:?} after run {run} had been enqueued"),
    }
}

pub(super) async fn a_subscriber_that_reads_nothing_holds_nothing_up(stage: Stage<'_>) {
    let mut lazy = stage.broker.subscribe();
    for _ in 0..1500 {
        stage.enqueue_one("a").await;
    }
    let mut heard = 0;
    loop {
        match lazy.try_recv() {
            Ok(_) => heard += 1,
            Err(TryRecvError::Lagged(_)) => {}
            Err(TryRecvError::Empty) => break,
            Err(TryRecvError::Closed) => panic!("the events ended"),
        }
    }
    assert!(heard > 0);
    assert_eq!(
        stage.broker.stats().await.unwrap().count(RunState::Queued),
        1500
    );
}
