//! Which runs a claim brings, and in which order.

use std::time::Duration;

use fluid_core::{DEFAULT_LEASE, Due, NewRun, Priority, QueueName, RunState};

use super::stage::{Stage, at_most, by, from, new_run, queue, wish};

fn with_priority(priority: Priority) -> NewRun {
    let mut run = new_run("a");
    run.priority = priority;
    run
}

fn due_in(seconds: u64) -> NewRun {
    let mut run = new_run("a");
    run.due = Due::After(Duration::from_secs(seconds));
    run
}

fn queued_in(name: &str) -> NewRun {
    let mut run = new_run("a");
    run.queue = queue(name);
    run
}

pub(super) async fn high_priority_goes_before_medium_and_low(stage: Stage<'_>) {
    let low = stage.enqueue(with_priority(Priority::Low)).await;
    let medium = stage.enqueue(with_priority(Priority::Medium)).await;
    let high = stage.enqueue(with_priority(Priority::High)).await;
    assert_eq!(stage.claim_ids(wish(&["a"])).await, [high, medium, low]);
}

pub(super) async fn equal_priority_goes_by_due_time(stage: Stage<'_>) {
    let mut ids = Vec::new();
    for seconds in [3, 1, 2] {
        ids.push(stage.enqueue(due_in(seconds)).await);
    }
    stage.advance(Duration::from_secs(5));
    let claimed = stage.claim_ids(wish(&["a"])).await;
    assert_eq!(claimed, [ids[1], ids[2], ids[0]]);
}

pub(super) async fn equal_due_time_goes_by_arrival(stage: Stage<'_>) {
    let mut runs: Vec<NewRun> = (0..20).map(|_| new_run("a")).collect();
    // Arrival is the order of enqueueing, not that of the ids.
    runs.reverse();
    let ids: Vec<_> = runs.iter().map(|run| run.id).collect();
    let (first, second) = runs.split_at(10);
    stage.broker.enqueue(first.to_vec()).await.unwrap();
    stage.broker.enqueue(second.to_vec()).await.unwrap();
    assert_eq!(stage.claim_ids(wish(&["a"])).await, ids);
}

pub(super) async fn priority_beats_an_earlier_due_time(stage: Stage<'_>) {
    let early = stage.enqueue(new_run("a")).await;
    let mut urgent = due_in(10);
    urgent.priority = Priority::High;
    let urgent = stage.enqueue(urgent).await;
    stage.advance(Duration::from_secs(10));
    assert_eq!(stage.claim_ids(wish(&["a"])).await, [urgent, early]);
}

pub(super) async fn a_run_is_not_claimed_before_it_is_due(stage: Stage<'_>) {
    let run = stage.enqueue(due_in(60)).await;
    let stored = stage.get(run).await;
    assert_eq!(stored.state, RunState::Scheduled);
    assert_eq!(stored.due_at, stage.in_seconds(60));
    stage.advance(Duration::from_millis(59_999));
    assert_eq!(stage.claim_ids(wish(&["a"])).await, []);
    stage.advance(Duration::from_millis(1));
    assert_eq!(stage.claim_ids(wish(&["a"])).await, [run]);
}

pub(super) async fn a_run_due_in_the_past_is_queued_at_once(stage: Stage<'_>) {
    let punctual = stage.enqueue(new_run("a")).await;
    let mut late = new_run("a");
    late.due = Due::At(stage.in_seconds(-3600));
    let late = stage.enqueue(late).await;
    let stored = stage.get(late).await;
    assert_eq!(stored.state, RunState::Queued);
    assert_eq!(stored.due_at, stage.in_seconds(-3600));
    assert_eq!(stage.claim_ids(wish(&["a"])).await, [late, punctual]);
}

pub(super) async fn queues_and_tasks_are_merged_into_one_order(stage: Stage<'_>) {
    let mut ids = Vec::new();
    for seconds in 0..24_u64 {
        let mut run = new_run(["a", "b", "c"][usize::try_from(seconds).unwrap() % 3]);
        run.queue = [QueueName::default(), queue("fast")][usize::from(seconds % 4 > 1)].clone();
        run.due = Due::After(Duration::from_secs(seconds));
        ids.push(stage.enqueue(run).await);
    }
    stage.advance(Duration::from_secs(60));
    let request = from(&["fast", "default"], wish(&["c", "a", "b"]));
    let mut claimed = stage.claim_ids(at_most(10, request.clone())).await;
    claimed.extend(stage.claim_ids(request).await);
    assert_eq!(claimed, ids);
}

pub(super) async fn a_claim_takes_only_the_tasks_it_names(stage: Stage<'_>) {
    let a = stage.enqueue_one("a").await;
    let other = stage.enqueue_one("aa").await;
    assert_eq!(stage.claim_ids(wish(&["a", "b"])).await, [a]);
    assert_eq!(stage.get(other).await.state, RunState::Queued);
    assert_eq!(stage.claim_ids(wish(&[])).await, []);
}

pub(super) async fn a_claim_takes_only_from_its_queues(stage: Stage<'_>) {
    let fast = stage.enqueue(queued_in("fast")).await;
    let slow = stage.enqueue(queued_in("slow")).await;
    assert_eq!(stage.claim_ids(wish(&["a"])).await, []);
    assert_eq!(stage.claim_ids(from(&[], wish(&["a"]))).await, []);
    assert_eq!(stage.claim_ids(from(&["slow"], wish(&["a"]))).await, [slow]);
    assert_eq!(stage.get(fast).await.state, RunState::Queued);
}

pub(super) async fn a_claim_brings_at_most_its_limit(stage: Stage<'_>) {
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(stage.enqueue_one("a").await);
    }
    assert_eq!(stage.claim_ids(at_most(0, wish(&["a"]))).await, []);
    assert_eq!(stage.claim_ids(at_most(2, wish(&["a"]))).await, ids[..2]);
    assert_eq!(stage.claim_ids(at_most(2, wish(&["a"]))).await, ids[2..4]);
    assert_eq!(stage.claim_ids(at_most(2, wish(&["a"]))).await, ids[4..]);
}

pub(super) async fn what_is_named_twice_is_claimed_once(stage: Stage<'_>) {
    let first = stage.enqueue_one("a").await;
    let second = stage.enqueue_one("a").await;
    let request = from(&["default", "default"], wish(&["a", "a"]));
    assert_eq!(stage.claim_ids(request).await, [first, second]);
}

pub(super) async fn an_empty_claim_says_when_the_next_run_is_due(stage: Stage<'_>) {
    stage.enqueue(due_in(90)).await;
    stage.enqueue(due_in(30)).await;
    let claimed = stage.claim(wish(&["a"])).await;
    assert_eq!(claimed.runs.len(), 0);
    assert_eq!(claimed.now, stage.now());
    assert_eq!(claimed.next, Some(stage.in_seconds(30)));
}

pub(super) async fn an_empty_claim_says_when_nothing_is_to_come(stage: Stage<'_>) {
    assert_eq!(stage.claim(wish(&["a"])).await.next, None);
    stage.succeed_one("a").await;
    assert_eq!(stage.claim(wish(&["a"])).await.next, None);
}

pub(super) async fn an_empty_claim_says_when_a_lease_ends(stage: Stage<'_>) {
    stage.enqueue_one("a").await;
    stage.claim_one("a").await;
    stage.advance(Duration::from_secs(10));
    let claimed = stage.claim(by("worker-2", wish(&["a"]))).await;
    assert_eq!(claimed.runs.len(), 0);
    assert_eq!(claimed.next, Some(stage.in_seconds(20)));
    assert_eq!(DEFAULT_LEASE, Duration::from_secs(30));
}
