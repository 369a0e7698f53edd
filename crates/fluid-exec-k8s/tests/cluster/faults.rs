//! What goes wrong in a cluster, and what a run is told of it.

use std::time::Duration;

use fluid_core::{ErrorKind, Outcome, Task};
use fluid_testing::executor::tasks;
use serde_json::{Value, json};

use crate::attempt::{Attempt, run_of};
use crate::place::{self, Place};

fn task(place: &Place, name: &str) -> Task {
    tasks::find(name).unwrap().k8s_config(place.config())
}

#[tokio::test]
#[ignore = "needs a cluster"]
async fn a_container_that_needs_more_memory_than_it_may_have_is_told_so() {
    let place = Place::new("oom").await;
    let config = place
        .config()
        .resources(json!({"limits": {"memory": "32Mi"}}));
    let task = task(&place, "eat_memory").k8s_config(config);
    let error = Attempt::start(&place.executor(), task, &json!({}))
        .await
        .error()
        .await;
    assert_eq!((error.kind, error.signal), (ErrorKind::Signal, Some(9)));
    assert!(
        error.message.starts_with("OOMKilled") && error.message.contains("32Mi"),
        "{error}"
    );
}

#[tokio::test]
#[ignore = "needs a cluster"]
async fn an_image_that_does_not_exist_is_named_and_a_pending_job_can_be_cancelled() {
    let place = Place::new("image").await;
    let task = task(&place, "end").k8s_config(place.config().image("localhost/no-such-image:1"));
    let mut attempt = Attempt::start(&place.executor(), task, &json!({})).await;
    attempt.until_waiting("localhost/no-such-image:1").await;
    attempt.cancel().await;
    assert_eq!(attempt.outcome().await, Outcome::Cancelled);
    assert!(place.jobs().await.is_empty());
    assert!(place.pods().await.is_empty());
}

#[tokio::test]
#[ignore = "needs a cluster"]
async fn a_pod_that_fits_nowhere_is_told_in_the_scheduler_s_words() {
    let place = Place::new("nowhere").await;
    let config = place
        .config()
        .node_label("no-such-label", "x")
        .pending_timeout(Duration::from_secs(3));
    let task = task(&place, "end").k8s_config(config);
    let mut attempt = Attempt::start(&place.executor(), task, &json!({})).await;
    attempt.until_waiting("unschedulable: 0/").await;
    let error = attempt.error().await;
    assert_eq!(error.kind, ErrorKind::Start);
    assert!(
        error
            .message
            .contains("did not run within 3s: unschedulable: 0/"),
        "{error}"
    );
    assert!(place.jobs().await.is_empty());
}

#[tokio::test]
#[ignore = "needs a cluster"]
async fn a_quota_is_told_and_the_run_goes_on_when_it_is_lifted() {
    let place = Place::new("quota").await;
    place.quota("no-pods", json!({"pods": "0"})).await;
    let mut attempt = Attempt::start(&place.executor(), task(&place, "result"), &json!({})).await;
    attempt.until_waiting("exceeded quota: no-pods").await;
    place.lift_quota("no-pods").await;
    assert_eq!(attempt.result().await, json!({"answer": 42}));
    assert_eq!(attempt.waiting.last(), Some(&None));

    place
        .quota("no-jobs", json!({"count/jobs.batch": "0"}))
        .await;
    let mut attempt = Attempt::start(&place.executor(), task(&place, "result"), &json!({})).await;
    attempt.until_waiting("exceeded quota: no-jobs").await;
    place.lift_quota("no-jobs").await;
    assert_eq!(attempt.result().await, json!({"answer": 42}));
}

#[tokio::test]
#[ignore = "needs a cluster"]
async fn a_deployment_or_container_that_is_not_there_is_named() {
    let place = Place::new("missing").await;
    let config = place.config().deployment("no-such-deployment");
    let without = task(&place, "end").k8s_config(config);
    let error = Attempt::start(&place.executor(), without, &json!({}))
        .await
        .error()
        .await;
    assert_eq!(error.kind, ErrorKind::Start);
    assert!(error.message.contains("no-such-deployment"), "{error}");

    let config = place.config().container("no-such-container");
    let without = task(&place, "end").k8s_config(config);
    let error = Attempt::start(&place.executor(), without, &json!({}))
        .await
        .error()
        .await;
    assert!(
        error.message.contains("no-such-container") && error.message.contains("\"main\""),
        "{error}"
    );
    assert!(place.jobs().await.is_empty());
}

#[tokio::test]
#[ignore = "needs a cluster"]
async fn a_foreign_job_of_the_same_name_is_left_alone() {
    let place = Place::new("foreign").await;
    let task = task(&place, "end");
    let run = run_of(&task, &json!({}));
    let mut first = Attempt::of(&place.executor(), task.clone(), run.clone()).await;
    first.outcome().await;
    let name = first.job().to_owned();
    place.delete_job(&name).await;
    place.make_job(&name).await;
    let error = Attempt::of(&place.executor(), task, run)
        .await
        .error()
        .await;
    assert_eq!(error.kind, ErrorKind::Start);
    assert!(error.message.contains("not of this run"), "{error}");
    assert_eq!(place.jobs().await.len(), 1);
}

#[tokio::test]
#[ignore = "needs a cluster"]
async fn a_pod_that_is_evicted_is_replaced_and_the_run_goes_on() {
    let place = Place::new("evict").await;
    let mut attempt =
        Attempt::start(&place.executor(), task(&place, "take_time"), &json!({})).await;
    attempt.until_line("begin").await;
    place.evict(&place.pods().await[0]).await;
    attempt.result().await;
    let begun = attempt.lines.iter().filter(|line| *line == "begin").count();
    assert_eq!(begun, 2, "{:?}", attempt.lines);
    let replaced = |line: &String| line.contains("was replaced: EvictionByEvictionAPI");
    assert!(attempt.lines.iter().any(replaced), "{:?}", attempt.lines);
    assert_eq!(place.jobs().await.len(), 1);
}

#[tokio::test]
#[ignore = "needs a cluster"]
async fn a_pod_or_job_that_somebody_deletes_is_a_lost_attempt() {
    let place = Place::new("deleted").await;
    let mut attempt = Attempt::start(&place.executor(), task(&place, "sleep"), &json!({})).await;
    attempt.until_placed().await;
    let mut other =
        Attempt::start(&place.executor(), task(&place, "sleep_program"), &json!({})).await;
    other.until_line("ready").await;
    place.delete_job(attempt.job()).await;
    let error = attempt.error().await;
    assert_eq!(error.kind, ErrorKind::Lost);
    assert!(error.message.contains("deleted"), "{error}");
    for pod in place
        .pods()
        .await
        .iter()
        .filter(|pod| pod.starts_with(other.job()))
    {
        place.delete_pod(pod).await;
    }
    let error = other.error().await;
    assert_eq!(error.kind, ErrorKind::Lost);
    assert!(error.message.contains("deleted"), "{error}");
}

#[tokio::test]
#[ignore = "needs a cluster"]
async fn a_secret_parameter_is_in_the_secret_of_its_job_and_nowhere_else() {
    let place = Place::new("secret").await;
    let mut attempt = Attempt::start(
        &place.executor(),
        task(&place, "secret_everywhere"),
        &json!({"token": "hunter2"}),
    )
    .await;
    attempt.outcome().await;
    let pods = place.pods().await;
    let mut seen = place.dump("jobs").await + &place.dump("pods").await;
    for pod in &pods {
        seen += &place.log(pod).await;
    }
    assert!(seen.contains("[redacted]"), "{seen}");
    assert!(!seen.contains("hunter2"), "{seen}");
    let secrets: Value = serde_json::from_str(&place.dump("secrets").await).unwrap();
    let owner = &secrets["items"][0]["metadata"]["ownerReferences"][0]["name"];
    assert_eq!(owner, attempt.job());
}

#[tokio::test]
#[ignore = "needs a cluster"]
async fn with_the_rights_of_the_seed_a_job_runs_and_tells_its_exit_code() {
    let place = Place::new("seed").await;
    let executor = place.executor_with(&place::seed_rules()).await;
    let mut good = Attempt::start(&executor, task(&place, "result"), &json!({})).await;
    assert_eq!(good.result().await, Value::Null);
    let error = Attempt::start(&executor, task(&place, "exit_3"), &json!({}))
        .await
        .error()
        .await;
    assert_eq!((error.kind, error.exit_code), (ErrorKind::Exit, Some(3)));
    let params = json!({"text": "x".repeat(50_000)});
    let mut large = Attempt::start(&executor, task(&place, "echo"), &params).await;
    let error = large.error().await;
    assert!(error.message.contains("exit code"), "{error}");
    let error = Attempt::start(
        &executor,
        task(&place, "secret_length"),
        &json!({"token": "t"}),
    )
    .await
    .error()
    .await;
    assert!(error.message.contains("create on secrets"), "{error}");
}

#[tokio::test]
#[ignore = "needs a cluster"]
async fn the_printed_rights_are_enough_for_everything() {
    let place = Place::new("minimal").await;
    let executor = place.executor_with(&place::minimal_rules()).await;
    let mut attempt = Attempt::start(
        &executor,
        task(&place, "secret_length"),
        &json!({"token": "hunter2"}),
    )
    .await;
    assert_eq!(attempt.result().await, json!(7));
    let mut attempt = Attempt::start(&executor, task(&place, "two_streams"), &json!({})).await;
    attempt.result().await;
    assert_eq!(attempt.lines.len(), 5, "{:?}", attempt.lines);
    let mut attempt = Attempt::start(&executor, task(&place, "sleep_program"), &json!({})).await;
    attempt.until_line("ready").await;
    attempt.cancel().await;
    assert_eq!(attempt.outcome().await, Outcome::Cancelled);
    place.quota("no-pods", json!({"pods": "0"})).await;
    let mut attempt = Attempt::start(&executor, task(&place, "end"), &json!({})).await;
    attempt.until_waiting("exceeded quota: no-pods").await;
    attempt.cancel().await;
}

#[tokio::test]
#[ignore = "needs a cluster"]
async fn jobs_that_may_be_read_and_not_watched_are_polled() {
    let place = Place::new("polled").await;
    let rules = json!([
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]},
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create", "get", "delete"]},
    ]);
    let executor = place.executor_with(&rules).await;
    let mut attempt = Attempt::start(&executor, task(&place, "end"), &json!({})).await;
    assert_eq!(attempt.result().await, Value::Null);
    let mut attempt = Attempt::start(&executor, task(&place, "sleep"), &json!({})).await;
    attempt.until_placed().await;
    place.delete_job(attempt.job()).await;
    assert_eq!(attempt.error().await.kind, ErrorKind::Lost);
}

#[tokio::test]
#[ignore = "needs a cluster"]
async fn without_any_right_the_missing_verb_is_told() {
    let place = Place::new("nothing").await;
    let executor = place.executor_with(&json!([])).await;
    let error = Attempt::start(&executor, task(&place, "end"), &json!({}))
        .await
        .error()
        .await;
    assert_eq!(error.kind, ErrorKind::Start);
    assert!(
        error
            .message
            .contains("cannot get resource \"deployments\""),
        "{error}"
    );
}

#[tokio::test]
#[ignore = "needs a cluster"]
async fn a_job_is_over_when_its_time_is_and_nothing_is_left() {
    let place = Place::new("deadline").await;
    let task = task(&place, "sleep_program").timeout(Duration::from_secs(3));
    let error = Attempt::start(&place.executor(), task, &json!({}))
        .await
        .error()
        .await;
    assert_eq!(error.kind, ErrorKind::Timeout);
    assert_eq!(error.message, "timed out after 3s");
}

#[tokio::test]
#[ignore = "needs a cluster"]
async fn a_suspended_job_waits_and_goes_on() {
    let place = Place::new("suspended").await;
    let config = place.config().patch(json!({"spec": {"suspend": true}}));
    let task = task(&place, "result").k8s_config(config);
    let mut attempt = Attempt::start(&place.executor(), task, &json!({})).await;
    attempt.until_waiting("suspended").await;
    place.resume_job(attempt.job()).await;
    assert_eq!(attempt.result().await, json!({"answer": 42}));
}
