//! One child process from its start to its outcome.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use fluid_core::{AttemptIo, ErrorKind, Execution, LogStream, Outcome, RunError, Task, TaskBody};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::io::AsyncRead;
use tokio::signal::unix::Signal;
use tokio_util::sync::CancellationToken;

use super::Started;
use super::group::{Ending, Group};
use super::output::{Output, Read, Stop};
use super::pipes::Pipes;
use super::result::{Ended, ResultFile};
use super::spawner::Leader;

/// What carrying an execution out takes, besides its process.
pub(super) struct Job {
    pub(super) task: Arc<Task>,
    pub(super) io: AttemptIo,
    pub(super) pipes: Pipes,
    pub(super) result: ResultFile,
    pub(super) child_signals: Signal,
    /// Keeps the directory of result files.
    pub(super) started: Arc<Started>,
}

/// A child process that carries out an attempt.
pub(super) struct SubprocessExecution {
    state: State,
    stop: Arc<Stop>,
    cancelled: CancellationToken,
    // Last, so that the process is still there while the work that looks at it is dropped.
    leader: Leader,
}

enum State {
    Running(BoxFuture<'static, Outcome>),
    Ended(Outcome),
}

impl SubprocessExecution {
    pub(super) fn new(
        job: Job,
        leader: Leader,
        cancelled: CancellationToken,
        silence: Duration,
    ) -> Self {
        let stop = Arc::new(Stop {
            asked: false.into(),
            ended: CancellationToken::new(),
            killed: CancellationToken::new(),
            silence,
        });
        Self {
            state: State::Running(carry_out(job, leader.group(), stop.clone()).boxed()),
            stop,
            cancelled,
            leader,
        }
    }
}

#[async_trait]
impl Execution for SubprocessExecution {
    async fn outcome(&mut self) -> Outcome {
        if let State::Running(work) = &mut self.state {
            self.state = State::Ended(work.await);
        }
        match &self.state {
            State::Ended(outcome) => outcome.clone(),
            State::Running(_) => Outcome::Cancelled,
        }
    }

    async fn cancel(&mut self, grace: Duration) {
        let State::Running(work) = &mut self.state else {
            return;
        };
        self.cancelled.cancel();
        let group = self.leader.group();
        if matches!(group.ending(), Ok(None)) {
            self.stop.asked.store(true, Ordering::Release);
        }
        group.terminate();
        if let Ok(outcome) = tokio::time::timeout(grace, work).await {
            self.state = State::Ended(outcome);
        } else {
            group.kill();
            self.stop.killed.cancel();
        }
    }
}

async fn carry_out(job: Job, group: Group, stop: Arc<Stop>) -> Outcome {
    let Job {
        task,
        io,
        pipes,
        result,
        mut child_signals,
        started: _started,
    } = job;
    let mut stdout = Output::new(pipes.stdout, LogStream::Stdout, &io);
    let mut stderr = Output::new(pipes.stderr, LogStream::Stderr, &io);
    let ending = async {
        let ending = ending(group, &mut child_signals).await;
        stop.ended.cancel();
        ending
    };
    let (ending, out, err, ()) = tokio::join!(
        ending,
        stdout.pass_on(&io, &stop),
        stderr.pass_on(&io, &stop),
        pipes.input.write_rest(&stop.ended),
    );
    // What is left of the group ends with its leader.
    group.kill();
    tokio::join!(
        leftover(&mut stdout, out, &io),
        leftover(&mut stderr, err, &io),
    );
    let ended = Ended {
        ending: match ending {
            Ok(ending) => ending,
            Err(error) => {
                let message = format!("lost track of the process: {error}");
                return Outcome::Failure(RunError::new(ErrorKind::Error, message));
            }
        },
        asked: stop.asked(),
        result: &result,
        tail: stderr.tail(),
        redactor: io.redactor(),
    };
    match task.body {
        TaskBody::Function(_) => ended.function().await,
        TaskBody::Command(_) => ended.command().await,
    }
}

/// Waits for the leader's end. A signal may stand for many children that ended, so each looks for its own.
async fn ending(group: Group, child_signals: &mut Signal) -> std::io::Result<Ending> {
    loop {
        if let Some(ending) = group.ending()? {
            return Ok(ending);
        }
        if child_signals.recv().await.is_none() {
            return Err(std::io::Error::other(
                "the runtime tells of no signals any more",
            ));
        }
    }
}

async fn leftover<R: AsyncRead + Unpin>(output: &mut Output<R>, read: Read, io: &AttemptIo) {
    if read == Read::HeldOpen {
        output.pass_on_leftover(io).await;
    }
}
