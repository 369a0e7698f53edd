//! Lists of runs: pages that stay right, and filters.

use std::time::Duration;

use fluid_core::{RunFilter, RunId, RunState};

use super::stage::{Stage, new_run, queue, task};

async fn enqueue_many(stage: &Stage<'_>, count: usize) -> Vec<RunId> {
    let runs: Vec<_> = (0..count).map(|_| new_run("a")).collect();
    let mut ids: Vec<_> = runs.iter().map(|run| run.id).collect();
    stage.broker.enqueue(runs).await.unwrap();
    ids.reverse();
    ids
}

pub(super) async fn runs_are_listed_newest_first(stage: Stage<'_>) {
    let newest_first = enqueue_many(&stage, 5).await;
    assert_eq!(stage.listed(RunFilter::default()).await, newest_first);
    let listed = stage
        .broker
        .list(RunFilter::default(), None, 1)
        .await
        .unwrap();
    assert_eq!(listed.runs, [stage.get(newest_first[0]).await]);
}

pub(super) async fn an_empty_list_has_no_next_page(stage: Stage<'_>) {
    let page = stage
        .broker
        .list(RunFilter::default(), None, 10)
        .await
        .unwrap();
    assert_eq!((page.runs.len(), page.next), (0, None));
}

pub(super) async fn pages_bring_each_run_once(stage: Stage<'_>) {
    let newest_first = enqueue_many(&stage, 23).await;
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = stage
            .broker
            .list(RunFilter::default(), before, 5)
            .await
            .unwrap();
        assert!(page.runs.len() <= 5);
        seen.extend(page.runs.iter().map(|run| run.id));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seen, newest_first);
}

pub(super) async fn a_page_that_fits_exactly_is_the_last(stage: Stage<'_>) {
    let newest_first = enqueue_many(&stage, 4).await;
    let first = stage
        .broker
        .list(RunFilter::default(), None, 2)
        .await
        .unwrap();
    let second = stage
        .broker
        .list(RunFilter::default(), first.next, 2)
        .await
        .unwrap();
    let ids: Vec<_> = second.runs.iter().map(|run| run.id).collect();
    assert_eq!(ids, newest_first[2..]);
    assert_eq!(second.next, None);
}

pub(super) async fn a_filter_is_applied_before_the_page_is_cut(stage: Stage<'_>) {
    let mut wanted = Vec::new();
    for n in 0..40 {
        let name = if n % 10 == 0 { "rare" } else { "a" };
        let run = stage.enqueue_one(name).await;
        if n % 10 == 0 {
            wanted.insert(0, run);
        }
    }
    let filter = RunFilter {
        tasks: vec![task("rare")],
        ..RunFilter::default()
    };
    let first = stage.broker.list(filter.clone(), None, 3).await.unwrap();
    let second = stage.broker.list(filter, first.next, 3).await.unwrap();
    let ids: Vec<_> = first
        .runs
        .iter()
        .chain(&second.runs)
        .map(|run| run.id)
        .collect();
    assert_eq!(ids, wanted);
    assert_eq!((first.runs.len(), second.next), (3, None));
}

pub(super) async fn pages_stay_right_while_runs_come_and_change(stage: Stage<'_>) {
    let newest_first = enqueue_many(&stage, 12).await;
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = stage
            .broker
            .list(RunFilter::default(), before, 3)
            .await
            .unwrap();
        seen.extend(page.runs.iter().map(|run| run.id));
        before = page.next;
        if before.is_none() {
            break;
        }
        enqueue_many(&stage, 4).await;
        let taken = stage
            .claim_exactly_one(super::stage::at_most(1, super::stage::wish(&["a"])))
            .await;
        stage.finish(&taken, super::stage::success()).await;
    }
    assert_eq!(seen, newest_first);
}

pub(super) async fn each_part_of_a_filter_narrows_the_list(stage: Stage<'_>) {
    let begin = stage.now();
    let root = stage.enqueue_one("a").await;
    stage.advance(Duration::from_secs(10));
    let mut child = new_run("b");
    (child.parent, child.root) = (Some(root), Some(root));
    child.queue = queue("fast");
    let child = stage.enqueue(child).await;
    stage.advance(Duration::from_secs(10));
    let mut grandchild = new_run("c");
    (grandchild.parent, grandchild.root) = (Some(child), Some(root));
    let grandchild = stage.enqueue(grandchild).await;
    let stranger = stage.enqueue_one("c").await;
    stage.cancel(stranger).await;
    stage.advance(Duration::from_secs(10));
    stage.cancel(child).await;

    let at = |seconds| Some(begin + jiff::SignedDuration::from_secs(seconds));
    let any = RunFilter::default;
    let cases = [
        (any(), vec![stranger, grandchild, child, root]),
        (
            RunFilter {
                tasks: vec![task("a"), task("b")],
                ..any()
            },
            vec![child, root],
        ),
        (
            RunFilter {
                tasks: vec![task("nope")],
                ..any()
            },
            vec![],
        ),
        (
            RunFilter {
                states: vec![RunState::Aborted],
                ..any()
            },
            vec![stranger, child],
        ),
        (
            RunFilter {
                states: vec![RunState::Queued, RunState::Running],
                ..any()
            },
            vec![grandchild, root],
        ),
        (
            RunFilter {
                queues: vec![queue("fast")],
                ..any()
            },
            vec![child],
        ),
        (
            RunFilter {
                parent: Some(root),
                ..any()
            },
            vec![child],
        ),
        (
            RunFilter {
                root: Some(root),
                ..any()
            },
            vec![grandchild, child, root],
        ),
        (
            RunFilter {
                created_from: at(10),
                ..any()
            },
            vec![stranger, grandchild, child],
        ),
        (
            RunFilter {
                created_before: at(10),
                ..any()
            },
            vec![root],
        ),
        (
            RunFilter {
                created_from: at(1),
                created_before: at(20),
                ..any()
            },
            vec![child],
        ),
        (
            RunFilter {
                ended_before: at(30),
                ..any()
            },
            vec![stranger],
        ),
        (
            RunFilter {
                ended_before: at(31),
                ..any()
            },
            vec![stranger, child],
        ),
        (
            RunFilter {
                tasks: vec![task("c")],
                states: vec![RunState::Aborted],
                ..any()
            },
            vec![stranger],
        ),
        (
            RunFilter {
                tasks: vec![task("a")],
                states: vec![RunState::Aborted],
                ..any()
            },
            vec![],
        ),
    ];
    for (filter, expected) in cases {
        assert_eq!(stage.listed(filter.clone()).await, expected, "{filter:?}");
    }
}

pub(super) async fn a_page_may_begin_before_a_run_that_is_gone(stage: Stage<'_>) {
    let older = stage.enqueue_one("a").await;
    let gone = RunId::new();
    stage.enqueue_one("a").await;
    let page = stage
        .broker
        .list(RunFilter::default(), Some(gone), 10)
        .await
        .unwrap();
    let ids: Vec<_> = page.runs.iter().map(|run| run.id).collect();
    assert_eq!(ids, [older]);
}
