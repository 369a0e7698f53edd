//! What the `#[task]` attribute accepts, refuses and makes.
#![expect(
    clippy::unwrap_used,
    reason = "what the tests stand on is not in the test functions alone"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fluid_core::{
    AttemptEvent, AttemptIo, AttemptNews, ChildQueue, ErrorKind, ExecutorKind, JsonText, K8sConfig,
    LeaseRef, LeaseToken, MissedTicks, NewRun, Priority, QueueRequest, RateExceeded, RateLimit,
    RawContext, RetryHint, RetryPolicy, RunError, RunId, ScheduleError, SharedState, Task,
    TaskBody, TaskContext, TaskDefinition, TaskError, TaskName, TaskRun, task,
};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

#[test]
fn a_wrong_attribute_is_a_compile_error_that_points_at_it() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/fail/*.rs");
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Resize {
    path: String,
    width: u32,
}

/// Makes a picture
/// smaller.
///
/// It keeps the proportions.
#[task(
    cpu_bound,
    name = "resize:v2",
    queue = "images",
    priority = "high",
    timeout = "5m",
    retry(
        attempts = 3,
        delay = "2s",
        backoff = 3,
        max_delay = 90,
        jitter = 0.25,
        on("error", "timeout"),
        interruptions = 0
    ),
    schedule(every = "5m", delay = "1m", jitter = "10s"),
    missed = "all",
    max_concurrency = 2,
    concurrency_key = "path",
    rate_limit(limit = 10, period = "1m", exceeded = "reject"),
    unique(window = "1h", by("path", "width")),
    tags("images", "nightly"),
    env(VIPS_CONCURRENCY = "1", EMPTY = ""),
    k8s_config = K8sConfig::default().namespace("workers"),
    executor = "subprocess"
)]
async fn resize(ctx: TaskContext<Resize>) -> Result<u64, TaskError> {
    if ctx.params.width == 0 {
        return Err(TaskError::fatal("a picture of no width"));
    }
    let ceiling = ctx.state::<u64>()?;
    ctx.progress(0.5, "halfway");
    let child = ctx.queue(&nightly, ()).await?;
    ctx.queue_named("thumbnail", &json!({"of": child})).await?;
    Ok(u64::from(ctx.params.width).min(*ceiling))
}

#[task(
    schedule(cron = "30 2 * * *", timezone = "Europe/Zurich", jitter = 5),
    missed = "skip",
    timeout = "none",
    unique
)]
async fn nightly() -> Result<(), std::num::ParseIntError> {
    "seven".parse::<i32>().map(drop)
}

#[task]
async fn heavy(_ctx: TaskContext) {}

#[task(schedule(cron = "0 3 * * *", timezone = "Mars/Olympus"))]
async fn elsewhere() {}

#[test]
fn every_attribute_arrives_in_the_task() {
    let task = resize.task();
    assert_eq!(task.name.as_str(), "resize:v2");
    assert_eq!(resize.name(), task.name);
    assert_eq!(
        task.description,
        "Makes a picture smaller.\n\nIt keeps the proportions."
    );
    assert!(task.cpu_bound);
    assert_eq!(task.executor, Some(ExecutorKind::Subprocess));
    assert_eq!(task.queue.as_str(), "images");
    assert_eq!(task.priority, Priority::High);
    assert_eq!(task.timeout, Some(Duration::from_secs(300)));
    assert_eq!(task.retry.attempts, 3);
    assert_eq!(task.retry.delay, Duration::from_secs(2));
    assert!((task.retry.backoff - 3.0).abs() < f64::EPSILON);
    assert_eq!(task.retry.max_delay, Duration::from_secs(90));
    assert!((task.retry.jitter - 0.25).abs() < f64::EPSILON);
    assert_eq!(task.retry.on, [ErrorKind::Error, ErrorKind::Timeout]);
    assert_eq!(task.retry.interruptions, 0);
    assert_eq!(task.missed, MissedTicks::All);
    assert_eq!(task.max_concurrency, 2);
    assert_eq!(task.concurrency_key.as_deref(), Some("path"));
    assert_eq!(
        task.rate_limit,
        Some(RateLimit {
            limit: 10,
            period: Duration::from_secs(60),
            exceeded: RateExceeded::Reject,
        })
    );
    let unique = task.unique.unwrap();
    assert_eq!(unique.by, ["path", "width"]);
    assert_eq!(unique.window, Some(Duration::from_secs(3600)));
    assert!(task.tags.iter().eq(["images", "nightly"]));
    let env = [("EMPTY", ""), ("VIPS_CONCURRENCY", "1")];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(task.env, BTreeMap::from(env));
    let config = task.k8s_config.unwrap();
    assert_eq!(config, K8sConfig::default().namespace("workers"));
    assert_eq!(task.fault, None);
    let schema = task.params.as_value();
    assert_eq!(schema["required"], json!(["path", "width"]));
}

#[test]
fn a_declared_schedule_ticks() {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let task = resize.task();
    let schedule = task.schedule.unwrap();
    let tick = schedule.next_after(at("2026-01-01T00:00:00Z")).unwrap();
    assert_eq!(tick, at("2026-01-01T00:01:00Z"));
    let next = schedule.next_after(tick).unwrap();
    assert_eq!(next, at("2026-01-01T00:06:00Z"));
    let due: Vec<_> = (0..50)
        .map(|n| schedule.due(&task.name, tick + Duration::from_secs(300 * n)))
        .collect();
    let shift = |n: usize| {
        let tick = tick + Duration::from_secs(300 * u64::try_from(n).unwrap());
        (due[n] - tick).total(jiff::Unit::Second).unwrap()
    };
    assert!((0..50).all(|n| (0.0..=10.0).contains(&shift(n))));
    assert!((0..50).any(|n| shift(n) > 5.0), "the jitter is 10 s");

    let task = nightly.task();
    let schedule = task.schedule.unwrap();
    let tick = schedule.next_after(at("2026-07-01T00:00:00Z")).unwrap();
    assert_eq!(tick, at("2026-07-01T00:30:00Z"));
    assert!((0..50).any(|n| {
        let tick = tick + Duration::from_secs(n);
        schedule.due(&task.name, tick) > tick
    }));
    assert_eq!(task.missed, MissedTicks::Skip);
}

#[test]
fn what_is_left_out_is_the_default() {
    let declared = heavy.task();
    let plain = Task::function("heavy", |_: TaskContext<()>| async { Ok(()) }).unwrap();
    assert_eq!(format!("{declared:?}"), format!("{plain:?}"));
    assert_eq!(declared.retry, RetryPolicy::default());

    let task = nightly.task();
    assert_eq!(task.name.as_str(), "nightly");
    assert_eq!(task.timeout, None);
    let unique = task.unique.unwrap();
    assert!(unique.by.is_empty() && unique.window.is_none());
}

#[test]
fn a_time_zone_that_is_unknown_here_is_a_fault_of_the_task() {
    let task = elsewhere.task();
    assert_eq!(task.schedule, None);
    assert_eq!(
        task.fault,
        Some(ScheduleError::TimeZone("Mars/Olympus".to_owned()))
    );
}

#[test]
fn the_struct_converts_into_the_task() {
    let task: Task = resize.into();
    assert_eq!(task.name, resize.name());
    assert_eq!(format!("{resize:?}"), "resize");
}

#[tokio::test]
async fn the_function_stays_callable() {
    let error = nightly::call().await.unwrap_err();
    assert_eq!(error, "seven".parse::<i32>().unwrap_err());
}

/// Keeps the requests for child runs.
#[derive(Default)]
struct Children(std::sync::Mutex<Vec<QueueRequest>>);

#[async_trait]
impl ChildQueue for Children {
    async fn queue(&self, request: QueueRequest) -> Result<RunId, TaskError> {
        self.0.lock().unwrap().push(request);
        Ok(RunId::new())
    }
}

/// One attempt of a task, made by hand.
struct Attempt {
    run: Arc<TaskRun>,
    news: mpsc::Receiver<AttemptEvent>,
    children: Arc<Children>,
    outcome: Result<JsonText, RunError>,
}

impl Attempt {
    /// Runs `task` with parameters that nobody checked, as if an older version had stored them.
    async fn of(task: Task, params: &str) -> Self {
        let TaskBody::Function(function) = task.body else {
            panic!("expected a function, got {:?}", task.body);
        };
        let params = fluid_core::Params::stored(JsonText::parse(params).unwrap(), []);
        let now = Timestamp::now();
        let mut run = TaskRun::enqueued(&NewRun::new(task.name, params), now, now);
        run.attempt = 1;
        let run = Arc::new(run);
        let lease = LeaseRef {
            run: run.id,
            token: LeaseToken::random(),
        };
        let (sink, news) = mpsc::channel(16);
        let io = AttemptIo::new(lease, 1, run.params.redactor(), sink);
        let mut state = SharedState::default();
        state.insert(1000_u64);
        let children = Arc::new(Children::default());
        let context = RawContext::new(
            run.clone(),
            io,
            CancellationToken::new(),
            Arc::new(state),
            children.clone(),
        );
        Self {
            outcome: function(context).await,
            run,
            news,
            children,
        }
    }
}

#[tokio::test]
async fn the_body_gets_its_parameters_and_gives_its_result() {
    let params = r#"{"path": "a.png", "width": 640}"#;
    let mut attempt = Attempt::of(resize.task(), params).await;
    assert_eq!(attempt.outcome.unwrap().as_str(), "640");

    let AttemptNews::Progress(progress) = attempt.news.recv().await.unwrap().what else {
        panic!("expected progress");
    };
    assert!((progress.fraction - 0.5).abs() < f64::EPSILON);
    assert_eq!(progress.message, "halfway");

    let children = attempt.children.0.lock().unwrap();
    let names: Vec<_> = children.iter().map(|child| child.task.as_str()).collect();
    assert_eq!(names, ["nightly", "thumbnail"]);
    assert_eq!(children[0].params.as_str(), "{}");
    for child in children.iter() {
        assert_eq!(child.parent, Some(attempt.run.id));
        assert_eq!(child.root, Some(attempt.run.id));
    }
}

#[tokio::test]
async fn the_shared_state_is_found_by_its_type() {
    let params = r#"{"path": "a.png", "width": 5000}"#;
    let attempt = Attempt::of(resize.task(), params).await;
    assert_eq!(attempt.outcome.unwrap().as_str(), "1000");
}

#[tokio::test]
async fn an_error_keeps_what_it_asks_of_the_retry_policy() {
    let attempt = Attempt::of(resize.task(), r#"{"path": "a.png", "width": 0}"#).await;
    let error = attempt.outcome.unwrap_err();
    assert_eq!(error.message, "a picture of no width");
    assert_eq!(
        (error.kind, error.retry),
        (ErrorKind::Error, RetryHint::Never)
    );
}

#[tokio::test]
async fn an_error_of_another_type_is_told() {
    let error = Attempt::of(nightly.task(), "{}").await.outcome.unwrap_err();
    assert_eq!(error.message, "invalid digit found in string");
    assert_eq!(
        (error.kind, error.retry),
        (ErrorKind::Error, RetryHint::Policy)
    );
}

#[tokio::test]
async fn a_function_that_returns_nothing_succeeds() {
    for params in ["{}", "null"] {
        let attempt = Attempt::of(heavy.task(), params).await;
        assert_eq!(attempt.outcome.unwrap(), JsonText::null());
    }
}

#[tokio::test]
async fn parameters_that_do_not_fit_are_refused_without_being_quoted() {
    for params in [
        r#"{"path": "a.png", "width": "hunter2"}"#,
        r#"{"path": "hunter2"}"#,
        r#""hunter2""#,
        r#"["hunter2"]"#,
    ] {
        let error = Attempt::of(resize.task(), params)
            .await
            .outcome
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::Parameters, "{params}");
        assert!(!error.message.contains("hunter2"), "{}", error.message);
        assert!(error.message.contains("line 1"), "{}", error.message);
    }
}

#[test]
fn a_declared_name_is_a_valid_one() {
    for task in [resize.task(), nightly.task(), heavy.task()] {
        assert_eq!(TaskName::parse(task.name.as_str()), Ok(task.name));
    }
}

#[test]
fn the_limits_that_the_macro_has_copies_of_are_the_same() {
    // In the macro's `value.rs` and `policy.rs`.
    assert_eq!(fluid_core::MAX_NAME, 100);
    assert_eq!(RetryPolicy::default().max_delay, Duration::from_secs(3600));
}
