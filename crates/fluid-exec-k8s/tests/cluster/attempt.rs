//! Attempts on the cluster, and what they tell.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fluid_core::{
    AttemptEvent, AttemptIo, AttemptNews, ChildQueue, Execution, Executor, JsonText, LeaseRef,
    LeaseToken, NewRun, Outcome, QueueRequest, RawContext, RunError, RunId, RunState, SharedState,
    Task, TaskError, TaskRun,
};
use fluid_exec_k8s::K8sExecutor;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::mpsc::{self, Receiver};
use tokio_util::sync::CancellationToken;

/// How long a test may wait for one thing.
const DEADLINE: Duration = Duration::from_secs(60);

/// A started attempt.
pub(crate) struct Attempt {
    execution: Box<dyn Execution>,
    news: Receiver<AttemptEvent>,
    pub(crate) lines: Vec<String>,
    pub(crate) places: Vec<String>,
    pub(crate) waiting: Vec<Option<String>>,
}

/// A run of a task that is about to be carried out.
pub(crate) fn run_of(task: &Task, params: &Value) -> TaskRun {
    let params = task.params.check(JsonText::from(params.clone())).unwrap();
    let now = Timestamp::now();
    let mut run = TaskRun::enqueued(&NewRun::new(task.name.clone(), params), now, now);
    (run.state, run.attempt, run.started_at) = (RunState::Running, 1, Some(now));
    run
}

impl Attempt {
    pub(crate) async fn start(executor: &K8sExecutor, task: Task, params: &Value) -> Self {
        let run = run_of(&task, params);
        Self::of(executor, task, run).await
    }

    pub(crate) async fn of(executor: &K8sExecutor, task: Task, run: TaskRun) -> Self {
        let run = Arc::new(run);
        let (sink, news) = mpsc::channel(1024);
        let lease = LeaseRef {
            run: run.id,
            token: LeaseToken::random(),
        };
        let io = AttemptIo::new(lease, run.attempt, run.params.redactor(), sink);
        let context = RawContext::new(
            run.clone(),
            io,
            CancellationToken::new(),
            Arc::new(SharedState::default()),
            Arc::new(NoQueue),
        );
        let execution = executor.start(Arc::new(task), context).await.unwrap();
        Self {
            execution,
            news,
            lines: Vec::new(),
            places: Vec::new(),
            waiting: Vec::new(),
        }
    }

    /// Goes on until `wanted` holds; the attempt must not end before.
    pub(crate) async fn until(&mut self, wanted: impl Fn(&Self) -> bool) {
        let until = async {
            while !wanted(self) {
                tokio::select! {
                    biased;
                    Some(event) = self.news.recv() => self.take(event),
                    outcome = self.execution.outcome() => {
                        panic!("ended as {outcome:?} after {:?}, waiting {:?}", self.lines, self.waiting);
                    }
                }
            }
        };
        let in_time = tokio::time::timeout(DEADLINE, until).await.is_ok();
        assert!(
            in_time,
            "waiting {:?}, lines {:?}",
            self.waiting, self.lines
        );
    }

    /// Goes on until the Job is there.
    pub(crate) async fn until_placed(&mut self) {
        self.until(|attempt| !attempt.places.is_empty()).await;
    }

    /// Goes on until this line was printed.
    pub(crate) async fn until_line(&mut self, line: &str) {
        self.until(|attempt| attempt.lines.iter().any(|one| one == line))
            .await;
    }

    /// Goes on until the attempt says that it waits for a reason with these words.
    pub(crate) async fn until_waiting(&mut self, words: &str) {
        self.until(|attempt| attempt.waits_for(words)).await;
    }

    pub(crate) fn waits_for(&self, words: &str) -> bool {
        let last = self.waiting.last().and_then(Option::as_deref);
        last.is_some_and(|why| why.contains(words))
    }

    pub(crate) async fn outcome(&mut self) -> Outcome {
        let end = async {
            loop {
                tokio::select! {
                    biased;
                    Some(event) = self.news.recv() => self.take(event),
                    outcome = self.execution.outcome() => {
                        while let Ok(event) = self.news.try_recv() {
                            self.take(event);
                        }
                        return outcome;
                    }
                }
            }
        };
        let ended = tokio::time::timeout(DEADLINE, end).await;
        ended.unwrap_or_else(|_| panic!("did not end; {:?} {:?}", self.waiting, self.lines))
    }

    pub(crate) async fn error(&mut self) -> RunError {
        match self.outcome().await {
            Outcome::Failure(error) => error,
            other => panic!("expected a failure, seen {other:?} and {:?}", self.lines),
        }
    }

    pub(crate) async fn result(&mut self) -> Value {
        match self.outcome().await {
            Outcome::Success(result) => result.to_value(),
            other => panic!("expected a result, seen {other:?} and {:?}", self.lines),
        }
    }

    pub(crate) async fn cancel(&mut self) {
        let cancel = self.execution.cancel(Duration::from_secs(5));
        tokio::time::timeout(DEADLINE, cancel).await.unwrap();
    }

    /// The name of the Job.
    pub(crate) fn job(&self) -> &str {
        self.places[0].rsplit('/').next().unwrap()
    }

    fn take(&mut self, event: AttemptEvent) {
        match event.what {
            AttemptNews::Output(line) => self.lines.push(line.text),
            AttemptNews::Execution(place) => self.places.push(place),
            AttemptNews::Waiting(why) => self.waiting.push(why),
            AttemptNews::Progress(_) => {}
            AttemptNews::Flush(done) => {
                let _ = done.send(());
            }
        }
    }
}

struct NoQueue;

#[async_trait]
impl ChildQueue for NoQueue {
    async fn queue(&self, _request: QueueRequest) -> Result<RunId, TaskError> {
        Err(TaskError::fatal("there is no queue here"))
    }
}
