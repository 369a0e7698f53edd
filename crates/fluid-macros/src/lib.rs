//! The `#[task]` attribute of fluid. Use it as `fluid_core::task`.

mod arguments;
mod attributes;
mod expand;
mod faults;
mod function;
mod nearest;
mod policy;
mod schedule;
mod value;

use proc_macro::TokenStream;

/// Makes a task of an async function.
///
/// ```
/// use fluid_core::{K8sConfig, Task, TaskContext, TaskDefinition, TaskError, task};
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, JsonSchema)]
/// struct Resize {
///     path: String,
///     width: u32,
/// }
///
/// /// Makes a picture smaller.
/// #[task(
///     cpu_bound,
///     queue = "images",
///     priority = "high",
///     timeout = "5m",
///     retry(attempts = 3, delay = "2s", on("error", "timeout")),
///     max_concurrency = 2,
///     unique(window = "1h", by("path")),
///     tags("images"),
///     env(VIPS_CONCURRENCY = "1"),
///     k8s_config = K8sConfig::default().namespace("workers"),
/// )]
/// async fn resize(ctx: TaskContext<Resize>) -> Result<u64, TaskError> {
///     let bytes = std::fs::metadata(&ctx.params.path)?.len();
///     ctx.progress(0.5, "read");
///     Ok(bytes)
/// }
///
/// /// Empties the bin at night, Zurich time.
/// #[task(schedule(cron = "0 3 * * *", timezone = "Europe/Zurich"), missed = "skip")]
/// async fn empty_the_bin() -> Result<(), std::io::Error> {
///     std::fs::remove_dir_all("/var/tmp/bin")
/// }
///
/// let task: Task = resize.task();
/// assert_eq!(task.name.as_str(), "resize");
/// assert_eq!(task.description, "Makes a picture smaller.");
/// let tasks: [Task; 2] = [resize.into(), empty_the_bin.into()];
/// ```
///
/// # What it makes
///
/// A unit struct takes the function's name, visibility and doc comment. It implements `TaskDefinition`, so it can be
/// handed to whatever queues a run with typed parameters (`ctx.queue(&resize, Resize { … })`), and it converts into
/// a `Task`, so it can be registered. The doc comment is the task's description: the lines of a paragraph are joined
/// by a space, paragraphs by an empty line.
///
/// The function itself becomes `call` of that struct, with the same arguments, result and visibility, for unit tests:
/// `empty_the_bin::call().await`. Other attributes of the function, such as `#[tracing::instrument]`, stay with it;
/// `#[cfg]` goes to everything.
///
/// A unit struct is also a pattern, so where the task is in scope no variable can have its name:
/// `let resize = …` is an error there.
///
/// # The function
///
/// It is `async` and takes nothing or one `TaskContext<Params>`. `Params` is `()` when left out; otherwise a type
/// with serde's `Serialize` and `Deserialize` and schemars' `JsonSchema`, from which the checks, the flags of the
/// command line and the forms come. It returns nothing, or a `Result<T, E>` with a serializable `T` and an `E` that
/// converts into `TaskError`, as every `std::error::Error` and `TaskError` itself do. An `anyhow::Error` is no
/// `std::error::Error`: map it with `TaskError::new(format!("{error:#}"))`. Its future is `Send`.
///
/// # Attributes
///
/// All are optional; `#[task]` alone is a task. A duration is text such as `"250ms"`, `"5m"` or `"1h 30m"`, or a
/// number of seconds such as `90` or `0.5`. Everything is checked when the program is compiled, but that a time zone
/// exists: only the machine that runs the task knows its time zones. There an unknown one becomes `Task::fault`.
///
/// | attribute | meaning | default |
/// |---|---|---|
/// | `name = "resize"` | The task's name: 1 to 100 letters, digits, `_`, `-`, `.` or `:`, the first a letter or digit. | the function's name |
/// | `cpu_bound` | Keeps the task out of the consumer's own process; also `cpu_bound = true` or `false`. | `false` |
/// | `executor = "subprocess"` | Names the executor outright: `inline`, `subprocess` or `k8s`. | `inline`; where `cpu_bound`, what the application chooses |
/// | `queue = "images"` | The queue its runs wait in. | `default` |
/// | `priority = "high"` | Their urgency within the queue: `high`, `medium` or `low`. | `medium` |
/// | `timeout = "5m"` | How long an attempt may take; `"none"` for no limit. | 60 s |
/// | `retry(…)` | When a failed attempt is followed by another, see below. | one attempt |
/// | `schedule(…)` | When it runs by itself, see below. | never |
/// | `missed = "once"` | What to do about ticks that no scheduler saw: `skip` them, fire the latest `once`, or fire `all`. | `once` |
/// | `max_concurrency = 2` | How many of its runs may be running at once, across all consumers; 0 for no limit. | 0 |
/// | `concurrency_key = "customer"` | The parameter whose values `max_concurrency` counts apart. | all runs count together |
/// | `rate_limit(limit = 10, period = "1m")` | How often its runs may start, across all consumers. With `exceeded = "reject"` a run that comes too early ends as `rate_limited`; with `"wait"` it stays queued. | no limit; `exceeded = "wait"` |
/// | `unique` | A request is a duplicate while an earlier run with the same parameters is not finished. `unique(by("path"))` compares these parameters alone; `unique(window = "1h")` also counts runs enqueued that long ago that are finished. | every request is a run |
/// | `tags("images", "nightly")` | Words to find it by. | none |
/// | `env(KEY = "value")` | More environment variables for its child process or Job. No place for secrets: they would be in the program. | none |
/// | `k8s_config = expression` | How it runs as a Kubernetes Job: an expression of type `K8sConfig`. | the environment's |
/// | `crate = path` | Where fluid-core is, for code that reaches it through another crate: `crate = fluid_cli::core`. | `::fluid_core` |
///
/// In `retry(…)`, `attempts` is needed by all but `interruptions`:
///
/// | attribute | meaning | default |
/// |---|---|---|
/// | `attempts = 3` | How many attempts may fail before the run does, at least 1. | 1 |
/// | `delay = "2s"` | The delay after the first failure. | 1 s |
/// | `backoff = 2.0` | The factor between one delay and the next. | 2 |
/// | `max_delay = "1m"` | The longest delay. | 1 h |
/// | `jitter = 0.1` | The share of the delay that is added at random, 0 to 1. | 0.1 |
/// | `on("error", "timeout")` | The kinds of error that are retried: `error`, `panic`, `timeout`, `exit`, `signal`, `start`. | all of these |
/// | `interruptions = 0` | How many attempts may be lost with their consumer before the run is interrupted; 0 for work that must not be started twice. | 3 |
///
/// `schedule(…)` has either `every` or `cron`. Its runs get `{}` as parameters, which fits a task without parameters
/// or with a default for each; other parameters are set with `Task::schedule_params`.
///
/// | attribute | meaning | default |
/// |---|---|---|
/// | `every = "5m"` | The interval, at least 1 ms, counted from the Unix epoch: `"1h"` ticks at the full hour in UTC. | |
/// | `delay = "1m"` | Shifts every tick of `every`. | 0 s |
/// | `cron = "0 3 * * *"` | A cron expression of five fields (minute, hour, day, month, weekday), or six with seconds first. | |
/// | `timezone = "Europe/Zurich"` | The IANA time zone of `cron`. | `UTC` |
/// | `jitter = "10s"` | Makes each run due up to this much later than its tick; shorter than `every`. | 0 s |
///
/// # Unit tests
///
/// ```
/// # use fluid_core::{TaskError, task};
/// #[task(retry(attempts = 5))]
/// async fn answer() -> Result<u32, TaskError> {
///     Ok(42)
/// }
///
/// # async fn test() {
/// assert_eq!(answer::call().await, Ok(42));
/// # }
/// ```
#[proc_macro_attribute]
pub fn task(attributes: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(attributes.into(), item.into()).into()
}
