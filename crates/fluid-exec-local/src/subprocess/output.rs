//! Reads what a child prints, and knows when to stop.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fluid_core::{AttemptIo, LogLine, LogStream, Tail, child};
use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::lines::Lines;

const READ_SIZE: usize = 16 * 1024;
/// How much may still be in a pipe whose writers were killed: the most that an unprivileged process can make
/// it hold (`/proc/sys/fs/pipe-max-size`).
const MAX_PIPE: usize = 1024 * 1024;
/// How long to wait for what is in a pipe already.
const LEFTOVER_WAIT: Duration = Duration::from_millis(50);

/// How far an execution is towards its end, as seen by those who read its output.
#[derive(Debug)]
pub(super) struct Stop {
    /// The leader was asked to stop while it ran.
    pub(super) asked: AtomicBool,
    /// The leader has ended.
    pub(super) ended: CancellationToken,
    /// The group was killed.
    pub(super) killed: CancellationToken,
    /// How long the output may be silent after the leader's end before those who hold it open are killed.
    pub(super) silence: Duration,
}

impl Stop {
    pub(super) fn asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }
}

/// How much longer than [`Stop::silence`] processes that keep talking may outlive their leader.
const CHATTER: u32 = 5;

/// Why reading ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// All that was ever written has been read.
    All,
    /// The leader has ended, and somebody still holds the pipe open.
    HeldOpen,
}

/// One of a child's output streams.
pub(super) struct Output<R> {
    pipe: R,
    lines: Lines,
    stream: LogStream,
    tail: Tail,
}

impl<R: AsyncRead + Unpin> Output<R> {
    pub(super) fn new(pipe: R, stream: LogStream, io: &AttemptIo) -> Self {
        Self {
            pipe,
            lines: Lines::new(io.redactor().clone()),
            stream,
            tail: Tail::default(),
        }
    }

    /// Passes lines on until the pipe is closed. After the leader's end others that hold it open get some time:
    /// until they are killed if the execution was asked to stop, else a while of silence.
    pub(super) async fn pass_on(&mut self, io: &AttemptIo, stop: &Stop) -> Read {
        while !stop.ended.is_cancelled() {
            let read = tokio::select! {
                biased;
                read = read(&mut self.pipe, &mut self.lines) => read,
                () = stop.ended.cancelled() => break,
            };
            if self.take(read, io).await == 0 {
                return Read::All;
            }
        }
        let last = Instant::now() + stop.silence * CHATTER;
        loop {
            let patience = (Instant::now() + stop.silence).min(last);
            let read = tokio::select! {
                biased;
                read = read(&mut self.pipe, &mut self.lines) => read,
                () = stop.killed.cancelled() => return Read::HeldOpen,
                () = sleep_until(patience), if !stop.asked() => return Read::HeldOpen,
            };
            if self.take(read, io).await == 0 {
                return Read::All;
            }
            if Instant::now() >= last && !stop.asked() {
                return Read::HeldOpen;
            }
        }
    }

    /// Passes on what is in the pipe after everyone in the group was killed.
    pub(super) async fn pass_on_leftover(&mut self, io: &AttemptIo) {
        let mut taken = 0;
        while taken < MAX_PIPE {
            match timeout(LEFTOVER_WAIT, read(&mut self.pipe, &mut self.lines)).await {
                Ok(read) => match self.take(read, io).await {
                    0 => return,
                    more => taken += more,
                },
                Err(_) => break,
            }
        }
        self.pass_lines_on(io, true).await;
    }

    /// The last lines, to quote in an error.
    pub(super) fn tail(&self) -> String {
        self.tail.text()
    }

    /// Passes on the lines of what was read and returns how much it was.
    async fn take(&mut self, read: io::Result<usize>, io: &AttemptIo) -> usize {
        // A pipe that can't be read has no more to give than one that is closed.
        let read = read.unwrap_or(0);
        self.pass_lines_on(io, read == 0).await;
        read
    }

    async fn pass_lines_on(&mut self, io: &AttemptIo, all: bool) {
        let at = Timestamp::now();
        while let Some(text) = self.lines.next(all) {
            if self.stream == LogStream::Stdout
                && let Some(progress) = child::parse_progress(&text)
            {
                io.progress(progress);
                continue;
            }
            let text = io.redactor().redact(text);
            if self.stream == LogStream::Stderr {
                self.tail.push(&text);
            }
            io.output(LogLine {
                at,
                stream: self.stream,
                text,
            })
            .await;
        }
    }
}

/// Cancellation safe, as `read_buf` is.
async fn read<R: AsyncRead + Unpin>(pipe: &mut R, lines: &mut Lines) -> io::Result<usize> {
    pipe.read_buf(lines.room(READ_SIZE)).await
}
