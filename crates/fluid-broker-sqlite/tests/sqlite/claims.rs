//! Claims that meet limits.

use std::time::Duration;

use fluid_core::{Broker, Finish, NewRun, Priority, RateExceeded, RateLimit, RunState, TaskLimits};

use crate::stage::{Folder, enqueue, ids, lease, new_run, new_runs, task, wish, wish_for};

fn keyed(key: &str) -> NewRun {
    let mut run = new_run("a");
    run.concurrency_key = key.into();
    run
}

fn one_for_each_key() -> Vec<TaskLimits> {
    let mut limits = TaskLimits::none(task("a"));
    limits.max_concurrency = 1;
    vec![limits]
}

#[tokio::test]
async fn a_used_up_rate_holds_up_no_adoption() {
    let folder = Folder::new();
    let broker = folder.open().await;
    let mut limits = TaskLimits::none(task("a"));
    limits.survives_consumer = true;
    limits.rate_limit = Some(RateLimit::new(1, Duration::from_secs(3600)));
    let request = wish(vec![limits], 10);

    let lost = enqueue(&broker, vec![new_run("a")]).await.unwrap();
    let claimed = broker.claim(request.clone()).await.unwrap();
    let release = vec![(lease(&claimed.runs[0]), Finish::Released)];
    broker.finish(release).await.unwrap();
    let mut urgent = new_run("a");
    urgent.priority = Priority::High;
    enqueue(&broker, vec![urgent]).await.unwrap();

    let adopted = broker.claim(request).await.unwrap();
    assert_eq!(ids(&adopted.runs), lost);
    assert!(adopted.next.is_some_and(|next| next > adopted.now));
}

#[tokio::test]
async fn one_claim_refuses_a_bounded_number_of_runs_and_says_that_there_are_more() {
    let folder = Folder::new();
    let broker = folder.open().await;
    let mut rate = RateLimit::new(1, Duration::from_secs(3600));
    rate.exceeded = RateExceeded::Reject;
    let mut limits = TaskLimits::none(task("a"));
    limits.rate_limit = Some(rate);
    let request = wish(vec![limits], 10);
    enqueue(&broker, new_runs("a", 1501)).await.unwrap();

    let mut refused = Vec::new();
    loop {
        let claimed = broker.claim(request.clone()).await.unwrap();
        let stats = broker.stats().await.unwrap();
        refused.push(stats.count(RunState::RateLimited));
        if claimed.next != Some(claimed.now) {
            break;
        }
    }
    assert_eq!(refused, [1000, 1500]);
}

#[tokio::test]
async fn many_runs_behind_one_full_key_leave_the_others_in_their_order() {
    let folder = Folder::new();
    let broker = folder.open().await;
    let mut runs: Vec<NewRun> = (0..500).map(|_| keyed("full")).collect();
    runs.extend(["c", "b", "c", "d"].map(keyed));
    let enqueued = enqueue(&broker, runs).await.unwrap();

    let claimed = broker.claim(wish(one_for_each_key(), 100)).await.unwrap();
    let expected = [0, 500, 501, 503].map(|place| enqueued[place]);
    assert_eq!(ids(&claimed.runs), expected);
    let again = broker.claim(wish(one_for_each_key(), 100)).await.unwrap();
    assert_eq!(ids(&again.runs), []);

    let finish = vec![(lease(&claimed.runs[1]), Finish::Released)];
    broker.finish(finish).await.unwrap();
    let again = broker.claim(wish(one_for_each_key(), 100)).await.unwrap();
    assert_eq!(ids(&again.runs), [enqueued[500]]);
}

#[tokio::test]
async fn priority_counts_across_tasks_and_within_large_claims() {
    let folder = Folder::new();
    let broker = folder.open().await;
    let mut runs = new_runs("a", 100);
    runs.extend(new_runs("b", 100));
    for (place, run) in runs.iter_mut().enumerate() {
        run.priority = Priority::ALL[place % Priority::ALL.len()];
    }
    let enqueued = enqueue(&broker, runs.clone()).await.unwrap();
    let mut expected: Vec<usize> = (0..runs.len()).collect();
    expected.sort_by_key(|place| place % Priority::ALL.len());
    let expected: Vec<_> = expected.iter().map(|place| enqueued[*place]).collect();

    let both = ["a", "b"].map(|name| TaskLimits::none(task(name)));
    let claimed = broker.claim(wish(both.to_vec(), 1000)).await.unwrap();
    assert_eq!(ids(&claimed.runs), expected);
}

#[tokio::test]
async fn what_others_take_does_not_make_a_consumer_ask_at_once() {
    let folder = Folder::new();
    let broker = folder.open().await;
    enqueue(&broker, new_runs("b", 20)).await.unwrap();
    enqueue(&broker, new_runs("a", 20)).await.unwrap();
    let full = broker.claim(wish_for("a", 5)).await.unwrap();
    assert_eq!(full.runs.len(), 5);
    assert!(full.next.is_some_and(|next| next > full.now), "{full:?}");
    let rest = broker.claim(wish_for("a", 100)).await.unwrap();
    assert_eq!(rest.runs.len(), 15);
    let none = broker.claim(wish_for("a", 0)).await.unwrap();
    assert_eq!(none.runs.len(), 0);
    assert!(none.next.is_some_and(|next| next > none.now), "{none:?}");
}
