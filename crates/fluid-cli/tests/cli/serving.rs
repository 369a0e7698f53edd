//! A process of the binary that goes on while the test does something else.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use crate::place::{DEADLINE, Place};

/// A process whose lines, on both streams, can be waited for; killed when dropped.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

/// Serves no HTTP unless the test says where: another test may have the usual port.
pub(crate) fn quiet_http(command: &mut Command) {
    let said = command.get_envs().any(|(name, _)| name == "FLUID_HTTP");
    if !said && !command.get_args().any(|arg| arg == "--http") {
        command.env("FLUID_HTTP", "none");
    }
}

impl Process {
    pub(crate) fn start(mut command: Command) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        quiet_http(&mut command);
        let mut child = command.spawn().unwrap();
        let (send, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        let err = BufReader::new(child.stderr.take().unwrap());
        for mut stream in [Box::new(out) as Box<dyn BufRead + Send>, Box::new(err)] {
            let send = send.clone();
            std::thread::spawn(move || {
                let mut line = String::new();
                while stream.read_line(&mut line).is_ok_and(|read| read > 0) {
                    if send.send(line.trim_end().to_owned()).is_err() {
                        return;
                    }
                    line.clear();
                }
            });
        }
        Self {
            child,
            lines,
            said: Vec::new(),
        }
    }

    /// `serve` in this place, without its schedules.
    pub(crate) fn serve(place: &Place) -> Self {
        let mut serving = Self::start(place.command(&["serve", "--no-scheduler", "--quiet"]));
        serving.until("serving");
        serving
    }

    /// Waits for a line that contains this.
    pub(crate) fn until(&mut self, part: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("no {part:?} was said, but\n{}", self.said.join("\n"));
            };
            self.said.push(line.clone());
            if line.contains(part) {
                return line;
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits for its end; the exit code and all it said.
    pub(crate) fn end(&mut self) -> (i32, String) {
        let deadline = Instant::now() + DEADLINE;
        // The streams close with the process.
        while let Ok(line) = self
            .lines
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            self.said.push(line);
        }
        assert!(
            Instant::now() < deadline,
            "it goes on:\n{}",
            self.said.join("\n")
        );
        let status = self.child.wait().unwrap();
        (
            status.code().expect("it was not killed"),
            self.said.join("\n"),
        )
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) fn stop(&mut self) -> (i32, String) {
        self.signal(Signal::TERM);
        self.end()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
