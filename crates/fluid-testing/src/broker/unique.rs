//! Unique keys: when two requests are the same run.

use std::time::Duration;

use fluid_core::{Enqueued, NewRun, RunFilter, RunId, RunState, Unique};

use super::stage::{Stage, new_run, retry_in, success};

fn keyed(task: &str, key: &str, window: Option<u64>) -> NewRun {
    let mut run = new_run(task);
    run.unique = Some(Unique {
        key: key.into(),
        window: window.map(Duration::from_secs),
    });
    run
}

async fn check_duplicate_of(stage: &Stage<'_>, holder: RunId, request: NewRun) {
    let id = request.id;
    let enqueued = stage.broker.enqueue(vec![request]).await.unwrap();
    assert_eq!(enqueued, [Enqueued::Duplicate(holder)]);
    assert_eq!(stage.broker.get(id).await.unwrap(), None, "it was inserted");
}

pub(super) async fn a_key_is_held_until_its_run_ends(stage: Stage<'_>) {
    let holder = stage.enqueue(keyed("a", "k", None)).await;
    check_duplicate_of(&stage, holder, keyed("a", "k", None)).await;
    let taken = stage.claim_one("a").await;
    check_duplicate_of(&stage, holder, keyed("a", "k", None)).await;
    stage.finish(&taken, retry_in(60, "wobbled")).await;
    check_duplicate_of(&stage, holder, keyed("a", "k", None)).await;
    stage.advance(Duration::from_secs(60));
    let taken = stage.claim_one("a").await;
    stage.finish(&taken, success()).await;

    let next = stage.enqueue(keyed("a", "k", None)).await;
    check_duplicate_of(&stage, next, keyed("a", "k", None)).await;
}

pub(super) async fn a_cancelled_run_gives_its_key_free(stage: Stage<'_>) {
    let holder = stage.enqueue(keyed("a", "k", None)).await;
    stage.cancel(holder).await;
    stage.enqueue(keyed("a", "k", None)).await;
}

pub(super) async fn keys_belong_to_their_task(stage: Stage<'_>) {
    let a = stage.enqueue(keyed("a", "k", None)).await;
    let b = stage.enqueue(keyed("b", "k", None)).await;
    check_duplicate_of(&stage, a, keyed("a", "k", None)).await;
    check_duplicate_of(&stage, b, keyed("b", "k", None)).await;
}

pub(super) async fn other_keys_and_no_keys_are_no_duplicates(stage: Stage<'_>) {
    stage.enqueue(keyed("a", "k", None)).await;
    for other in ["K", "k ", "", "ключ"] {
        stage.enqueue(keyed("a", other, None)).await;
    }
    stage.enqueue_one("a").await;
    stage.enqueue_one("a").await;
}

pub(super) async fn the_same_key_twice_in_one_batch_is_one_run(stage: Stage<'_>) {
    let batch = vec![
        keyed("a", "k", None),
        new_run("a"),
        keyed("a", "k", Some(60)),
        keyed("a", "l", None),
    ];
    let ids: Vec<_> = batch.iter().map(|run| run.id).collect();
    assert_eq!(
        stage.broker.enqueue(batch).await.unwrap(),
        [
            Enqueued::Inserted(ids[0]),
            Enqueued::Inserted(ids[1]),
            Enqueued::Duplicate(ids[0]),
            Enqueued::Inserted(ids[3]),
        ]
    );
    let kept = stage.listed(RunFilter::default()).await;
    assert_eq!(kept, [ids[3], ids[1], ids[0]]);
}

pub(super) async fn a_window_holds_a_key_beyond_the_end_of_its_run(stage: Stage<'_>) {
    let holder = stage.enqueue(keyed("a", "k", Some(60))).await;
    let taken = stage.claim_one("a").await;
    stage.finish(&taken, success()).await;
    // The window of the run that holds the key decides.
    check_duplicate_of(&stage, holder, keyed("a", "k", None)).await;
    stage.advance(Duration::from_millis(59_999));
    check_duplicate_of(&stage, holder, keyed("a", "k", Some(1))).await;
    stage.advance(Duration::from_millis(1));
    stage.enqueue(keyed("a", "k", Some(60))).await;
}

pub(super) async fn a_key_is_held_beyond_its_window_while_its_run_goes_on(stage: Stage<'_>) {
    let holder = stage.enqueue(keyed("a", "k", Some(60))).await;
    stage.advance(Duration::from_secs(3600));
    check_duplicate_of(&stage, holder, keyed("a", "k", Some(60))).await;
    let taken = stage.claim_one("a").await;
    check_duplicate_of(&stage, holder, keyed("a", "k", Some(60))).await;
    stage.finish(&taken, success()).await;
    stage.enqueue(keyed("a", "k", Some(60))).await;
}

pub(super) async fn a_request_sent_again_is_the_same_run(stage: Stage<'_>) {
    let request = new_run("a");
    let id = stage.enqueue(request.clone()).await;
    let again = stage.broker.enqueue(vec![request.clone()]).await.unwrap();
    assert_eq!(again, [Enqueued::Duplicate(id)]);
    let taken = stage.claim_one("a").await;
    stage.finish(&taken, success()).await;
    let again = stage.broker.enqueue(vec![request]).await.unwrap();
    assert_eq!(again, [Enqueued::Duplicate(id)]);
    assert_eq!(stage.get(id).await.state, RunState::Success);
}

pub(super) async fn a_purged_run_gives_its_key_free(stage: Stage<'_>) {
    let holder = stage.enqueue(keyed("a", "k", Some(3600))).await;
    let taken = stage.claim_one("a").await;
    stage.finish(&taken, success()).await;
    check_duplicate_of(&stage, holder, keyed("a", "k", None)).await;
    let purged = stage.broker.purge(RunFilter::default(), 10).await;
    assert_eq!(purged.unwrap(), 1);
    stage.enqueue(keyed("a", "k", None)).await;
}

pub(super) async fn a_key_is_held_across_handles(stage: Stage<'_>) {
    let holder = stage.enqueue(keyed("a", "k", None)).await;
    let other = stage.harness.open().await;
    let enqueued = other.enqueue(vec![keyed("a", "k", None)]).await.unwrap();
    assert_eq!(enqueued, [Enqueued::Duplicate(holder)]);
}
