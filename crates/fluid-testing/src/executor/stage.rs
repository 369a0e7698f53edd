//! What the cases have in common: an executor, and attempts whose news are kept.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fluid_core::{
    AttemptEvent, AttemptIo, AttemptNews, ChildQueue, Execution, Executor, JsonText, LeaseRef,
    LeaseToken, LogStream, NewRun, Outcome, Progress, QueueRequest, RawContext, RunError, RunId,
    RunState, SharedState, StoredOutput, Task, TaskError, TaskRun,
};
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::mpsc::{self, Receiver};
use tokio_util::sync::CancellationToken;

use super::{ExecutorHarness, tasks};

/// More than any program of the suite needs that stops when it is asked.
pub(super) const LONG_GRACE: Duration = Duration::from_secs(30);
/// How many pieces of news may wait, so that an executor meets a reader that is behind.
const NEWS_BUFFER: usize = 8;

/// One case's harness.
pub(super) struct Stage<'h> {
    harness: &'h dyn ExecutorHarness,
    executor: Arc<dyn Executor>,
}

impl<'h> Stage<'h> {
    pub(super) fn new(harness: &'h dyn ExecutorHarness) -> Self {
        Self {
            harness,
            executor: harness.executor(),
        }
    }

    pub(super) fn task(name: &str) -> Task {
        tasks::find(name).unwrap()
    }

    /// How many bytes of parameters are to be passed on, at most `wanted`.
    pub(super) fn params_size(&self, wanted: usize) -> usize {
        self.harness.largest_params().min(wanted)
    }

    /// How many bytes of a result are to be passed on, at most `wanted`.
    pub(super) fn result_size(&self, wanted: usize) -> usize {
        self.harness.largest_result().min(wanted)
    }

    /// Starts an attempt of a task of the suite.
    pub(super) async fn start(&self, name: &str, params: Value) -> Running {
        self.start_task(Self::task(name), params).await
    }

    pub(super) async fn start_task(&self, task: Task, params: Value) -> Running {
        self.try_start(task, params).await.unwrap()
    }

    pub(super) async fn try_start(&self, task: Task, params: Value) -> Result<Running, RunError> {
        let params = task.params.check(JsonText::from(params)).unwrap();
        let new = NewRun::new(task.name.clone(), params);
        let now = Timestamp::now();
        let mut run = TaskRun::enqueued(&new, now, now);
        (run.state, run.attempt, run.started_at) = (RunState::Running, 3, Some(now));
        let task = Arc::new(self.harness.place(task));
        self.start_run(task, Arc::new(run), None).await
    }

    /// Starts an attempt once more, as another consumer would, after some of its output was stored.
    pub(super) async fn start_again(
        &self,
        attempt: &Running,
        stored: Option<StoredOutput>,
    ) -> Running {
        let (task, run) = (attempt.task.clone(), attempt.run.clone());
        self.start_run(task, run, stored).await.unwrap()
    }

    pub(super) async fn start_run(
        &self,
        task: Arc<Task>,
        run: Arc<TaskRun>,
        stored: Option<StoredOutput>,
    ) -> Result<Running, RunError> {
        let (sink, news) = mpsc::channel(NEWS_BUFFER);
        let lease = LeaseRef {
            run: run.id,
            token: LeaseToken::random(),
        };
        let io = AttemptIo::new(lease, run.attempt, run.params.redactor(), sink).after(stored);
        let cancelled = CancellationToken::new();
        let state = Arc::new(SharedState::default());
        let context = RawContext::new(run.clone(), io, cancelled, state, Arc::new(NoChildren));
        let mut news = News::of(news);
        let execution = news
            .during(self.executor.start(task.clone(), context))
            .await?;
        Ok(Running {
            task,
            run,
            execution,
            news,
        })
    }

    /// The result of an attempt that must succeed.
    pub(super) async fn result_of(&self, name: &str, params: Value) -> Value {
        self.start(name, params).await.result().await
    }

    /// The error of an attempt that must fail.
    pub(super) async fn error_of(&self, name: &str, params: Value) -> RunError {
        self.start(name, params).await.error().await
    }
}

/// A started attempt.
pub(super) struct Running {
    pub(super) task: Arc<Task>,
    pub(super) run: Arc<TaskRun>,
    pub(super) execution: Box<dyn Execution>,
    pub(super) news: News,
}

impl Running {
    pub(super) async fn outcome(&mut self) -> Outcome {
        self.news.during(self.execution.outcome()).await
    }

    pub(super) async fn result(&mut self) -> Value {
        match self.outcome().await {
            Outcome::Success(result) => result.to_value(),
            other => panic!("expected a result, seen {other:?} and {:?}", self.news),
        }
    }

    pub(super) async fn error(&mut self) -> RunError {
        match self.outcome().await {
            Outcome::Failure(error) => error,
            other => panic!("expected a failure, seen {other:?} and {:?}", self.news),
        }
    }

    /// Goes on until the attempt has told what is wanted; it must not end before.
    pub(super) async fn until(&mut self, wanted: impl Fn(&News) -> bool) {
        while !wanted(&self.news) {
            tokio::select! {
                biased;
                Some(event) = self.news.receiver.recv() => self.news.take(event),
                outcome = self.execution.outcome() => {
                    self.news.take_waiting();
                    assert!(wanted(&self.news), "ended as {outcome:?} after {:?}", self.news);
                }
            }
        }
    }

    /// Goes on until this line of standard output has come.
    pub(super) async fn until_line(&mut self, line: &str) {
        self.until(|news| news.lines.iter().any(|(_, text)| text == line))
            .await;
    }

    /// Goes on until some progress was told.
    pub(super) async fn until_progress(&mut self) {
        self.until(|news| !news.progress.is_empty()).await;
    }

    pub(super) async fn cancel(&mut self, grace: Duration) {
        self.news.during(self.execution.cancel(grace)).await;
    }
}

/// What an attempt has told.
pub(super) struct News {
    receiver: Receiver<AttemptEvent>,
    pub(super) lines: Vec<(LogStream, String)>,
    /// When the last of the lines was printed.
    pub(super) last_line_at: Option<Timestamp>,
    pub(super) progress: Vec<Progress>,
    pub(super) places: Vec<String>,
}

impl News {
    fn of(receiver: Receiver<AttemptEvent>) -> Self {
        Self {
            receiver,
            lines: Vec::new(),
            last_line_at: None,
            progress: Vec::new(),
            places: Vec::new(),
        }
    }

    /// The lines of one stream.
    pub(super) fn lines_of(&self, stream: LogStream) -> Vec<&str> {
        let lines = self.lines.iter().filter(|(from, _)| *from == stream);
        lines.map(|(_, text)| text.as_str()).collect()
    }

    /// Reads news while something is done, and at its end those that had come by then.
    async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => {
                    self.take_waiting();
                    return done;
                }
                Some(event) = self.receiver.recv() => self.take(event),
            }
        }
    }

    fn take_waiting(&mut self) {
        while let Ok(event) = self.receiver.try_recv() {
            self.take(event);
        }
    }

    fn take(&mut self, event: AttemptEvent) {
        match event.what {
            AttemptNews::Output(line) => {
                self.last_line_at = Some(line.at);
                self.lines.push((line.stream, line.text));
            }
            AttemptNews::Progress(progress) => self.progress.push(progress),
            AttemptNews::Execution(place) => self.places.push(place),
            AttemptNews::Waiting(_) => {}
            AttemptNews::Flush(done) => {
                let _ = done.send(());
            }
        }
    }
}

impl fmt::Debug for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.lines.len().saturating_sub(20);
        f.debug_struct("News")
            .field("last_lines", &&self.lines[last..])
            .field("progress", &self.progress)
            .field("places", &self.places)
            .finish_non_exhaustive()
    }
}

/// No task of the suite enqueues runs.
struct NoChildren;

#[async_trait]
impl ChildQueue for NoChildren {
    async fn queue(&self, _request: QueueRequest) -> Result<RunId, TaskError> {
        Err(TaskError::fatal("the suite has no queue"))
    }
}
