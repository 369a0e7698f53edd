use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fluid_core::{
    AttemptOutcome, Cancelled, ErrorKind, JsonText, Priority, RetryPolicy, RunState, Task,
    TaskContext, TaskError,
};
use fluid_exec_local::InlineExecutor;
use fluid_scheduler::{ConsumerConfig, TaskManager};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Notify;

use crate::stage::{AtWork, DEADLINE, ended, manager, queue, request, task};

#[derive(Serialize, Deserialize, JsonSchema)]
struct Add {
    a: i64,
    b: i64,
}

#[tokio::test]
async fn a_queued_run_is_carried_out_and_its_result_kept() {
    let add = Task::function("add", |ctx: TaskContext<Add>| async move {
        Ok::<_, TaskError>(ctx.params.a + ctx.params.b)
    });
    let manager = manager([add.unwrap()]);
    let consumer = AtWork::start(&manager);
    let run = manager
        .queue_request(request("add", json!({"a": 2, "b": 40})))
        .await
        .unwrap()
        .run();
    let record = ended(&manager, run).await;
    assert_eq!(record.state, RunState::Success);
    assert_eq!(record.result, Some(JsonText::from(json!(42))));
    assert_eq!(record.attempt, 1);
    consumer.stop().await;
}

#[tokio::test]
async fn parameters_that_do_not_fit_are_refused_before_anything_is_queued() {
    let add = Task::function("add", |ctx: TaskContext<Add>| async move {
        Ok::<_, TaskError>(ctx.params.a)
    });
    let manager = manager([add.unwrap()]);
    let error = manager
        .queue_request(request("add", json!({"a": "x"})))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("\"add\"") && error.contains("/a"), "{error}");
    let error = manager
        .queue_named("ad", &json!({}))
        .await
        .unwrap_err()
        .to_string();
    assert_eq!(error, "there is no task \"ad\"; did you mean add?");
    assert_eq!(manager.broker().stats().await.unwrap().tasks.len(), 0);
}

#[tokio::test]
async fn a_failed_attempt_is_retried_as_often_as_the_policy_says() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = calls.clone();
    let flaky = task("flaky", move |ctx| {
        let call = counter.fetch_add(1, Ordering::SeqCst) + 1;
        async move {
            assert_eq!(usize::try_from(ctx.run().attempt).unwrap(), call);
            if call < 3 {
                Err(TaskError::new(format!("call {call}")))
            } else {
                Ok(call)
            }
        }
    });
    let manager = manager([flaky.retry(RetryPolicy::attempts(3).delay(Duration::from_millis(1)))]);
    let consumer = AtWork::start(&manager);
    let run = queue(&manager, "flaky").await;
    let record = ended(&manager, run).await;
    assert_eq!(
        (record.state, record.attempt, record.failures),
        (RunState::Success, 3, 2)
    );
    let attempts = manager.broker().attempts(run).await.unwrap();
    let outcomes: Vec<_> = attempts.iter().map(|attempt| attempt.outcome).collect();
    let failure = AttemptOutcome::Failure;
    assert_eq!(outcomes, [failure, failure, AttemptOutcome::Success]);
    assert_eq!(attempts[1].error.as_ref().unwrap().message, "call 2");
    consumer.stop().await;
}

#[tokio::test]
async fn an_error_has_the_last_word_over_the_policy() {
    let policy = || RetryPolicy::attempts(5).delay(Duration::from_millis(1));
    let fatal = task("fatal", |_| async {
        Err::<(), _>(TaskError::fatal("no use"))
    })
    .retry(policy());
    let abort = task("abort", |_| async {
        Err::<(), _>(TaskError::abort("not needed"))
    })
    .retry(policy());
    let panics = task("panics", |_| async {
        panic!("boom {}", 7) as Result<(), TaskError>
    });
    let manager = manager([fatal, abort, panics]);
    let consumer = AtWork::start(&manager);
    for (task, state, kind, message) in [
        ("fatal", RunState::Failure, ErrorKind::Error, "no use"),
        ("abort", RunState::Aborted, ErrorKind::Aborted, "not needed"),
        ("panics", RunState::Failure, ErrorKind::Panic, "boom 7"),
    ] {
        let run = queue(&manager, task).await;
        let record = ended(&manager, run).await;
        let error = record.error.unwrap();
        assert_eq!(
            (record.state, record.attempt, error.kind),
            (state, 1, kind),
            "{task}"
        );
        assert!(error.message.contains(message), "{task}: {error}");
    }
    consumer.stop().await;
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_is_stopped() {
    let stuck = task("stuck", |ctx| async move {
        ctx.cancelled().cancelled().await;
        std::future::pending::<()>().await;
        Ok(())
    });
    let manager = manager([stuck.timeout(Duration::from_millis(20))]);
    let mut config = ConsumerConfig::default();
    config.grace = Duration::from_millis(20);
    let consumer = AtWork::with(&manager, config, Arc::new(InlineExecutor));
    let run = queue(&manager, "stuck").await;
    let error = ended(&manager, run).await.error.unwrap();
    assert_eq!(
        (error.kind, error.message.as_str()),
        (ErrorKind::Timeout, "timed out after 20ms")
    );
    consumer.stop().await;
}

#[tokio::test]
async fn a_running_run_is_cancelled_and_a_waiting_one_never_starts() {
    let started = Arc::new(Notify::new());
    let note = started.clone();
    let patient = task("patient", move |ctx| {
        let note = note.clone();
        async move {
            note.notify_one();
            ctx.cancelled().cancelled().await;
            Err::<(), _>(TaskError::new("stopped"))
        }
    });
    let manager = manager([patient.max_concurrency(1)]);
    let consumer = AtWork::start(&manager);
    let running = queue(&manager, "patient").await;
    tokio::time::timeout(DEADLINE, started.notified())
        .await
        .unwrap();
    let waiting = queue(&manager, "patient").await;
    assert_eq!(manager.cancel(waiting).await.unwrap(), Cancelled::Aborted);
    assert_eq!(manager.cancel(running).await.unwrap(), Cancelled::Requested);
    assert_eq!(ended(&manager, running).await.state, RunState::Aborted);
    let record = ended(&manager, waiting).await;
    assert_eq!((record.state, record.attempt), (RunState::Aborted, 0));
    assert_eq!(
        manager.cancel(running).await.unwrap(),
        Cancelled::AlreadyFinished(RunState::Aborted)
    );
    consumer.stop().await;
}

#[tokio::test]
async fn progress_is_stored_before_the_end_and_children_know_their_parent() {
    let child = task("child", |_| async { Ok(()) });
    let parent = task("parent", |ctx| async move {
        ctx.progress(0.5, "half");
        Ok(ctx.queue_named("child", &json!({})).await?.to_string())
    });
    let manager = manager([child, parent]);
    let consumer = AtWork::start(&manager);
    let run = queue(&manager, "parent").await;
    let record = ended(&manager, run).await;
    let child: String = record.result.unwrap().to().unwrap();
    let child = ended(&manager, child.parse().unwrap()).await;
    assert_eq!((child.parent, child.root), (Some(run), Some(run)));
    consumer.stop().await;
}

#[tokio::test]
async fn no_more_runs_than_allowed_are_carried_out_at_once() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (inside, highest) = (now.clone(), most.clone());
    let work = task("work", move |_| {
        let (inside, highest) = (inside.clone(), highest.clone());
        async move {
            highest.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            inside.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        }
    });
    let manager = manager([work]);
    let mut config = ConsumerConfig::default();
    config.max_concurrent_tasks = 3;
    let requests = (0..200).map(|_| request("work", json!({})));
    let runs = manager.queue_many(requests).await.unwrap();
    let consumer = AtWork::with(&manager, config, Arc::new(InlineExecutor));
    for run in runs {
        assert_eq!(ended(&manager, run.run()).await.state, RunState::Success);
    }
    assert!((1..=3).contains(&most.load(Ordering::SeqCst)), "{most:?}");
    consumer.stop().await;
}

#[tokio::test]
async fn urgent_runs_go_first() {
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let order = seen.clone();
    let note = task("note", move |ctx| {
        order.lock().unwrap().push(ctx.run().priority);
        async { Ok(()) }
    });
    let manager = manager([note]);
    let mut runs = Vec::new();
    for priority in [
        Priority::Low,
        Priority::High,
        Priority::Medium,
        Priority::High,
    ] {
        let request = request("note", json!({})).priority(priority);
        runs.push(manager.queue_request(request).await.unwrap().run());
    }
    let mut config = ConsumerConfig::default();
    config.max_concurrent_tasks = 1;
    let consumer = AtWork::with(&manager, config, Arc::new(InlineExecutor));
    for run in runs {
        ended(&manager, run).await;
    }
    let (high, medium, low) = (Priority::High, Priority::Medium, Priority::Low);
    assert_eq!(*seen.lock().unwrap(), [high, high, medium, low]);
    consumer.stop().await;
}

#[tokio::test]
async fn a_consumer_that_stops_finishes_what_it_has_and_claims_no_more() {
    let (started, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (note, wait) = (started.clone(), go.clone());
    let slow = task("slow", move |_| {
        let (note, wait) = (note.clone(), wait.clone());
        async move {
            note.notify_one();
            wait.notified().await;
            Ok("done")
        }
    });
    let manager = manager([slow.max_concurrency(1)]);
    let consumer = AtWork::start(&manager);
    let first = queue(&manager, "slow").await;
    started.notified().await;
    let second = queue(&manager, "slow").await;
    consumer.stop.cancel();
    go.notify_one();
    consumer.end().await;
    assert_eq!(ended(&manager, first).await.state, RunState::Success);
    assert_eq!(
        manager.broker().get(second).await.unwrap().unwrap().state,
        RunState::Queued
    );
    assert!(
        manager.broker().consumers().await.unwrap().is_empty(),
        "it said farewell"
    );
}

#[tokio::test]
async fn a_consumer_that_is_forced_gives_its_runs_back() {
    let started = Arc::new(Notify::new());
    let note = started.clone();
    let endless = task("endless", move |_| {
        let note = note.clone();
        async move {
            note.notify_one();
            std::future::pending::<()>().await;
            Ok(())
        }
    });
    let manager = manager([endless.timeout(DEADLINE * 10)]);
    let mut config = ConsumerConfig::default();
    config.grace = Duration::from_millis(10);
    config.drain_timeout = DEADLINE * 10;
    let consumer = AtWork::with(&manager, config, Arc::new(InlineExecutor));
    let run = queue(&manager, "endless").await;
    started.notified().await;
    consumer.force.cancel();
    consumer.stop().await;
    let record = manager.broker().get(run).await.unwrap().unwrap();
    assert_eq!((record.state, record.failures), (RunState::Queued, 0));
    let attempts = manager.broker().attempts(run).await.unwrap();
    assert_eq!(attempts[0].outcome, AttemptOutcome::Released);
}

#[tokio::test]
async fn shared_state_is_found_by_its_type() {
    let reader = task("reader", |ctx| async move { Ok(*ctx.state::<u32>()?) });
    let missing = task("missing", |ctx| async move { Ok(*ctx.state::<u64>()?) });
    let broker = Arc::new(fluid_scheduler::MemoryBroker::new());
    let manager = TaskManager::builder()
        .broker(broker)
        .task(reader)
        .task(missing)
        .state(7_u32)
        .build()
        .unwrap();
    let consumer = AtWork::start(&manager);
    let run = queue(&manager, "reader").await;
    assert_eq!(
        ended(&manager, run).await.result,
        Some(JsonText::from(json!(7)))
    );
    let run = queue(&manager, "missing").await;
    let error = ended(&manager, run).await.error.unwrap();
    assert!(
        error.message.contains("no shared state of type u64"),
        "{error}"
    );
    consumer.stop().await;
}

#[tokio::test]
async fn a_task_that_is_run_here_leaves_nothing_in_the_queue() {
    let twice = task("twice", |ctx| async move {
        ctx.progress(1.0, "done");
        Ok(2)
    });
    let manager = manager([twice]);
    let (news, mut told) = tokio::sync::mpsc::channel::<fluid_core::AttemptEvent>(16);
    let listener = tokio::spawn(async move {
        let mut progress = None;
        while let Some(event) = told.recv().await {
            match event.what {
                fluid_core::AttemptNews::Progress(p) => progress = Some(p),
                fluid_core::AttemptNews::Flush(done) => drop(done.send(())),
                _ => {}
            }
        }
        progress
    });
    let stop = tokio_util::sync::CancellationToken::new();
    let executor = Arc::new(InlineExecutor);
    let record = manager
        .execute(request("twice", json!({})), executor, news, &stop)
        .await
        .unwrap();
    assert_eq!(
        (record.state, record.result),
        (RunState::Success, Some(JsonText::from(json!(2))))
    );
    assert_eq!(listener.await.unwrap().unwrap().message, "done");
    assert!(manager.broker().get(record.id).await.unwrap().is_none());
}

#[tokio::test]
async fn two_tasks_of_one_name_are_refused() {
    let broker = Arc::new(fluid_scheduler::MemoryBroker::new());
    let one = || task("one", |_| async { Ok(()) });
    let error = TaskManager::builder()
        .broker(broker)
        .task(one())
        .task(one())
        .build()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "two tasks are named \"one\": give one of them another name"
    );
}
