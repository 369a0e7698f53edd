//! Runs that go to another broker, and runs that come from one.

use std::collections::BTreeMap;
use std::time::Duration;

use fluid_core::{
    AttemptOutcome, BrokerError, Due, Enqueued, ExportedRun, Finish, JsonText, LogBatch, LogLine,
    LogStream, NewRun, Priority, RunFilter, RunId, RunState, Tick, Ticked, Unique,
};

use super::stage::{
    Stage, at_most, by, failed, new_run, retry_in, success, surviving, task, wish, wish_with,
};

const NO_TICKS: BTreeMap<fluid_core::TaskName, jiff::Timestamp> = BTreeMap::new();

async fn export(stage: &Stage<'_>) -> Vec<ExportedRun> {
    stage.broker.export(None, 1000).await.unwrap()
}

async fn import(stage: &Stage<'_>, runs: &[ExportedRun]) -> usize {
    let runs = runs.to_vec();
    stage.broker.import(runs, NO_TICKS).await.unwrap()
}

/// Ends and deletes everything, as if the store were another one.
async fn clear(stage: &Stage<'_>) {
    for run in stage.listed(RunFilter::default()).await {
        stage.cancel(run).await;
    }
    let adopter = by("cleaner", wish_with(vec![surviving("a")]));
    for (run, token) in stage.claim(adopter).await.runs {
        let lease = fluid_core::LeaseRef { run: run.id, token };
        let gone = Finish::Aborted(failed("cleared"));
        stage.broker.finish(vec![(lease, gone)]).await.unwrap();
    }
    stage
        .broker
        .purge(RunFilter::default(), 1000)
        .await
        .unwrap();
    assert_eq!(stage.listed(RunFilter::default()).await, []);
}

pub(super) async fn an_exported_run_is_imported_as_it_was(stage: Stage<'_>) {
    let mut keyed = new_run("a");
    keyed.concurrency_key = "lane".into();
    keyed.priority = Priority::High;
    keyed.parent = Some(RunId::new());
    keyed.root = keyed.parent;
    let queued = stage.enqueue(keyed).await;
    let mut later = new_run("b");
    later.due = Due::After(Duration::from_secs(3600));
    let scheduled = stage.enqueue(later).await;
    let mut ended = Vec::new();
    for finish in [
        Finish::Success(JsonText::parse("{\"n\": [1, 2.50]}").unwrap()),
        Finish::Failure(failed("broke")),
        Finish::Aborted(failed("unwanted")),
        retry_in(600, "wobbled"),
    ] {
        ended.push(stage.enqueue_one("c").await);
        let taken = stage.claim_one("c").await;
        stage.finish(&taken, finish).await;
    }
    stage.advance(Duration::from_secs(600));
    let again = stage.claim_one("c").await;
    stage.finish(&again, success()).await;

    let exported = export(&stage).await;
    let stats = stage.broker.stats().await.unwrap();
    assert_eq!(exported.len(), 6);
    clear(&stage).await;
    assert_eq!(import(&stage, &exported).await, 6);
    assert_eq!(export(&stage).await, exported);
    assert_eq!(stage.broker.stats().await.unwrap(), stats);
    for one in &exported {
        assert_eq!(stage.get(one.run.id).await, one.run);
        assert_eq!(stage.attempts(one.run.id).await, one.attempts);
    }
    assert_eq!(
        stage.outcomes(again.run.id).await,
        [(1, AttemptOutcome::Failure), (2, AttemptOutcome::Success)]
    );
    assert_eq!(stage.get(queued).await.state, RunState::Queued);
    assert_eq!(stage.get(scheduled).await.state, RunState::Scheduled);
}

pub(super) async fn runs_are_exported_piece_by_piece(stage: Stage<'_>) {
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(stage.enqueue_one("a").await);
    }
    ids.sort_unstable();
    let mut pieces = Vec::new();
    let mut after = None;
    loop {
        let piece = stage.broker.export(after, 2).await.unwrap();
        let Some(last) = piece.last() else { break };
        after = Some(last.run.id);
        pieces.push(piece.iter().map(|one| one.run.id).collect::<Vec<_>>());
    }
    assert_eq!(pieces, [&ids[..2], &ids[2..4], &ids[4..]]);
}

/// A broker may keep such runs together.
pub(super) async fn many_runs_that_are_alike_come_back_as_they_were(stage: Stage<'_>) {
    for _ in 0..2 {
        let runs = (0..40).map(|_| new_run("a")).collect();
        stage.broker.enqueue(runs).await.unwrap();
    }
    let claimed = stage.claim(at_most(30, wish(&["a"]))).await;
    let ends = claimed
        .runs
        .iter()
        .enumerate()
        .map(|(place, (run, token))| {
            let lease = fluid_core::LeaseRef {
                run: run.id,
                token: *token,
            };
            let end = match place % 3 {
                0 => retry_in(60, "wobbled"),
                _ => Finish::Success(JsonText::parse("[1]").unwrap()),
            };
            (lease, end)
        });
    stage.broker.finish(ends.collect()).await.unwrap();
    let mut exported = Vec::new();
    while exported.len() < 80 {
        let after = exported.last().map(|one: &ExportedRun| one.run.id);
        let piece = stage.broker.export(after, 7).await.unwrap();
        assert!(!piece.is_empty(), "only {} runs", exported.len());
        exported.extend(piece);
    }
    assert!(exported.is_sorted_by_key(|one| one.run.id));
    assert_eq!(exported, export(&stage).await);
    let stats = stage.broker.stats().await.unwrap();
    assert_eq!(stats.count(RunState::Success), 20);

    assert_eq!(import(&stage, &exported).await, 0);
    clear(&stage).await;
    assert_eq!(import(&stage, &exported).await, 80);
    assert_eq!(export(&stage).await, exported);
    assert_eq!(stage.broker.stats().await.unwrap(), stats);
    assert_eq!(stage.claim_ids(wish(&["a"])).await.len(), 50);
}

pub(super) async fn an_attempt_that_ended_just_before_its_run_stays_what_it_was(stage: Stage<'_>) {
    let run = stage.enqueue_one("a").await;
    let taken = stage.claim_one("a").await;
    stage.finish(&taken, retry_in(60, "wobbled")).await;
    stage.cancel(run).await;
    let exported = export(&stage).await;
    assert_eq!(exported[0].run.ended_at, exported[0].attempts[0].ended_at);
    clear(&stage).await;
    import(&stage, &exported).await;
    assert_eq!(export(&stage).await, exported);
    assert_eq!(stage.outcomes(run).await, [(1, AttemptOutcome::Failure)]);
}

pub(super) async fn an_import_sent_again_changes_nothing(stage: Stage<'_>) {
    let run = stage.enqueue_one("a").await;
    let exported = export(&stage).await;
    let taken = stage.claim_one("a").await;
    assert_eq!(import(&stage, &exported).await, 0);
    assert_eq!(stage.get(run).await.state, RunState::Running);
    stage.finish(&taken, success()).await;
    assert_eq!(import(&stage, &exported).await, 0);
    assert_eq!(stage.get(run).await.state, RunState::Success);

    clear(&stage).await;
    let twice = [exported.clone(), exported].concat();
    assert_eq!(import(&stage, &twice).await, 1);
    assert_eq!(stage.claim_ids(wish(&["a"])).await, [run]);
}

pub(super) async fn imported_runs_are_claimed_in_their_old_order(stage: Stage<'_>) {
    let mut ids = Vec::new();
    for priority in [
        Priority::Low,
        Priority::Medium,
        Priority::High,
        Priority::Medium,
    ] {
        let mut run = new_run("a");
        run.priority = priority;
        ids.push(stage.enqueue(run).await);
    }
    let mut later = new_run("a");
    later.due = Due::After(Duration::from_secs(60));
    later.priority = Priority::High;
    let later = stage.enqueue(later).await;
    let exported = export(&stage).await;
    clear(&stage).await;
    import(&stage, &exported).await;
    stage.enqueue_one("a").await;
    for expected in [ids[2], ids[1], ids[3]] {
        let taken = stage.claim_exactly_one(at_most(1, wish(&["a"]))).await;
        assert_eq!(taken.run.id, expected);
        stage.finish(&taken, success()).await;
    }
    stage.advance(Duration::from_secs(60));
    assert_eq!(stage.claim_ids(at_most(1, wish(&["a"]))).await, [later]);
}

fn unique(window: Option<u64>) -> NewRun {
    let mut run = new_run("a");
    run.unique = Some(Unique {
        key: "k".into(),
        window: window.map(Duration::from_secs),
    });
    run
}

pub(super) async fn an_imported_run_holds_its_key(stage: Stage<'_>) {
    let holder = stage.enqueue(unique(Some(100))).await;
    stage.claim_one("a").await;
    stage.broker.cancel(holder).await.unwrap();
    let mut finished = export(&stage).await;
    finished[0].run.state = RunState::Success;
    finished[0].run.result = Some(JsonText::null());
    finished[0].run.cancel_requested = false;
    finished[0].run.ended_at = Some(stage.now());
    finished[0].attempts[0].outcome = AttemptOutcome::Success;
    finished[0].attempts[0].ended_at = Some(stage.now());
    stage.advance(Duration::from_secs(40));
    any_lease_runs_out(&stage).await;
    clear(&stage).await;
    assert_eq!(import(&stage, &finished).await, 1);
    let answers = stage.broker.enqueue(vec![unique(None)]).await.unwrap();
    assert_eq!(answers, [Enqueued::Duplicate(holder)]);
    stage.advance(Duration::from_secs(60));
    let next = stage.enqueue(unique(None)).await;

    // Who holds the key here keeps it, and the run comes without.
    let waiting = export(&stage).await;
    let waiting: Vec<_> = waiting
        .into_iter()
        .filter(|one| one.run.id == next)
        .collect();
    assert_eq!(waiting[0].unique.as_ref().map(|held| &*held.key), Some("k"));
    clear(&stage).await;
    let owner = stage.enqueue(unique(None)).await;
    assert_eq!(import(&stage, &waiting).await, 1);
    let answers = stage.broker.enqueue(vec![unique(None)]).await.unwrap();
    assert_eq!(answers, [Enqueued::Duplicate(owner)]);
    let keys: Vec<_> = export(&stage).await;
    let held = keys.iter().filter(|one| one.unique.is_some());
    assert_eq!(held.map(|one| one.run.id).collect::<Vec<_>>(), [owner]);
}

/// A claim of nothing, which deals with leases that ran out.
async fn any_lease_runs_out(stage: &Stage<'_>) {
    assert_eq!(stage.claim_ids(wish(&["nothing"])).await, []);
}

pub(super) async fn an_imported_attempt_is_adopted(stage: Stage<'_>) {
    let run = stage.enqueue_one("a").await;
    let heavy = || wish_with(vec![surviving("a")]);
    let taken = stage.claim_exactly_one(heavy()).await;
    stage.finish(&taken, Finish::Released).await;
    let exported = export(&stage).await;
    assert!(exported[0].is_adoptable());
    clear(&stage).await;
    import(&stage, &exported).await;
    let adopted = stage.claim_exactly_one(by("worker-2", heavy())).await;
    assert_eq!((adopted.run.id, adopted.run.attempt), (run, 1));
    stage.finish(&adopted, success()).await;
    assert_eq!(stage.outcomes(run).await, [(1, AttemptOutcome::Success)]);
}

pub(super) async fn an_imported_tick_does_not_fire(stage: Stage<'_>) {
    let instant = stage.now();
    let ticks = BTreeMap::from([(task("a"), instant)]);
    assert_eq!(
        stage
            .broker
            .import(Vec::new(), ticks.clone())
            .await
            .unwrap(),
        0
    );
    assert_eq!(stage.broker.last_ticks().await.unwrap(), ticks);
    let tick = |at| Tick {
        task: task("a"),
        instant: at,
        run: new_run("a"),
    };
    let ticked = stage
        .broker
        .tick(vec![tick(instant), tick(stage.in_seconds(1))])
        .await;
    assert!(matches!(
        ticked.unwrap()[..],
        [Ticked::AlreadyFired, Ticked::Fired(_)]
    ));
}

pub(super) async fn a_running_run_is_not_imported(stage: Stage<'_>) {
    let waiting = stage.enqueue_one("b").await;
    let running = stage.enqueue_one("a").await;
    stage.claim_one("a").await;
    let exported = export(&stage).await;
    let error = stage.broker.import(exported, NO_TICKS).await.unwrap_err();
    assert!(matches!(error, BrokerError::Invalid { .. }), "{error:?}");
    assert!(error.to_string().contains(&running.to_string()), "{error}");
    assert_eq!(stage.listed(RunFilter::default()).await, [running, waiting]);
}

pub(super) async fn an_imported_run_takes_a_log(stage: Stage<'_>) {
    let run = stage.succeed_one("a").await;
    let exported = export(&stage).await;
    clear(&stage).await;
    import(&stage, &exported).await;
    let line = LogLine {
        at: stage.now(),
        stream: LogStream::Stdout,
        text: "told before".to_owned(),
    };
    let batch = LogBatch {
        run,
        attempt: 1,
        lines: vec![line.clone()],
    };
    stage.broker.append_logs(vec![batch]).await.unwrap();
    let lines = stage.broker.read_logs(run, 0, 10).await.unwrap();
    assert_eq!(lines.len(), 1);
    assert_eq!(
        (lines[0].position, lines[0].attempt, &lines[0].line),
        (1, 1, &line)
    );
}
