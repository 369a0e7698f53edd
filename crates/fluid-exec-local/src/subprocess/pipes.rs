//! The pipes between a child and the runtime.

use std::io::{self, PipeReader, PipeWriter, pipe};
use std::os::fd::OwnedFd;
use std::process::{self as std_process, Command};

use tokio::process::{ChildStderr, ChildStdin, ChildStdout};

/// This process's ends of a child's pipes.
pub(super) struct Ends {
    stdin: PipeWriter,
    stdout: PipeReader,
    stderr: PipeReader,
}

impl Ends {
    /// Gives a command its ends of new pipes.
    pub(super) fn of(command: &mut Command) -> io::Result<Self> {
        let (theirs, stdin) = pipe()?;
        command.stdin(theirs);
        let (stdout, theirs) = pipe()?;
        command.stdout(theirs);
        let (stderr, theirs) = pipe()?;
        command.stderr(theirs);
        Ok(Self {
            stdin,
            stdout,
            stderr,
        })
    }

    /// The pipes as the runtime reads and writes them.
    pub(super) fn into_pipes(self) -> io::Result<Pipes> {
        let stdin = std_process::ChildStdin::from(OwnedFd::from(self.stdin));
        let stdout = std_process::ChildStdout::from(OwnedFd::from(self.stdout));
        let stderr = std_process::ChildStderr::from(OwnedFd::from(self.stderr));
        Ok(Pipes {
            stdin: ChildStdin::from_std(stdin)?,
            stdout: ChildStdout::from_std(stdout)?,
            stderr: ChildStderr::from_std(stderr)?,
        })
    }
}

/// A child's pipes as the runtime reads and writes them.
pub(super) struct Pipes {
    pub(super) stdin: ChildStdin,
    pub(super) stdout: ChildStdout,
    pub(super) stderr: ChildStderr,
}
