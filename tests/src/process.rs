//! A child process whose output can be waited for.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use crate::DEADLINE;

#[derive(Default)]
struct Output {
    lines: Mutex<(Vec<String>, usize)>,
    changed: Condvar,
}

/// A child process; killed when dropped.
pub struct Process {
    child: Child,
    output: Arc<Output>,
    readers: Vec<JoinHandle<()>>,
    what: String,
}

impl Process {
    /// Starts it, with both of its streams read line by line.
    ///
    /// # Panics
    /// When it can't be started.
    #[expect(clippy::panic, reason = "only tests call this")]
    pub fn start(command: &mut Command) -> Self {
        let what = format!("{command:?}");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        let output = Arc::new(Output::default());
        let streams: [Option<Box<dyn Read + Send>>; 2] = [
            child.stdout.take().map(|stream| Box::new(stream) as _),
            child.stderr.take().map(|stream| Box::new(stream) as _),
        ];
        let readers = streams
            .into_iter()
            .flatten()
            .map(|stream| read(stream, output.clone()))
            .collect();
        Self {
            child,
            output,
            readers,
            what,
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line, on either stream, that is so; the line.
    ///
    /// # Panics
    /// When the process ends, or the deadline passes, without such a line.
    #[expect(clippy::panic, reason = "only tests call this")]
    pub fn until_line(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + DEADLINE;
        let mut lines = self
            .output
            .lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(line) = lines.0.iter().find(|line| is_so(line)) {
                return line.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let closed = lines.1 == 2;
            if left.is_zero() || closed {
                let why = if closed { "it ended" } else { "time is up" };
                panic!(
                    "no line with {what} from {}: {why}; it said:\n{}",
                    self.what,
                    lines.0.join("\n")
                );
            }
            lines = self
                .output
                .changed
                .wait_timeout(lines, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// All it has said so far.
    pub fn said(&self) -> String {
        self.output
            .lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .join("\n")
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, signal);
        }
    }

    /// Kills it as `kill -9` does, and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to stop and waits for its end; the status and all it said.
    ///
    /// # Panics
    /// When it does not end before the deadline.
    pub fn stop(mut self) -> (ExitStatus, String) {
        self.signal(Signal::TERM);
        self.end()
    }

    /// Waits for its end; the status and all it said.
    ///
    /// # Panics
    /// When it does not end before the deadline.
    #[expect(clippy::panic, reason = "only tests call this")]
    pub fn end(&mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + DEADLINE;
        // Both streams close when it ends, and the readers say so.
        let mut lines = self
            .output
            .lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        while lines.1 < 2 {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "{} did not end in time; it said:\n{}",
                self.what,
                lines.0.join("\n")
            );
            lines = self
                .output
                .changed
                .wait_timeout(lines, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        drop(lines);
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        let status = self
            .child
            .wait()
            .unwrap_or_else(|error| panic!("{}: {error}", self.what));
        (status, self.said())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn read(stream: impl Read + Send + 'static, output: Arc<Output>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut lines = BufReader::new(stream).split(b'\n');
        while let Some(Ok(line)) = lines.next() {
            let line = String::from_utf8_lossy(&line).into_owned();
            output
                .lines
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .0
                .push(line);
            output.changed.notify_all();
        }
        output
            .lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .1 += 1;
        output.changed.notify_all();
    })
}
