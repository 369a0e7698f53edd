//! The pipes between a child and the runtime.

use std::io::{self, PipeReader, PipeWriter, Write, pipe};
use std::os::fd::OwnedFd;
use std::process::Command;

use fluid_core::JsonText;
use rustix::io::ioctl_fionbio;
use tokio::io::AsyncWriteExt;
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio_util::sync::CancellationToken;

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

    /// The pipes as the runtime reads and writes them, with the parameters on their way.
    pub(super) fn into_pipes(self, params: &JsonText) -> io::Result<Pipes> {
        let stdout = std::process::ChildStdout::from(OwnedFd::from(self.stdout));
        let stderr = std::process::ChildStderr::from(OwnedFd::from(self.stderr));
        Ok(Pipes {
            input: Input::begin(self.stdin, params)?,
            stdout: ChildStdout::from_std(stdout)?,
            stderr: ChildStderr::from_std(stderr)?,
        })
    }
}

/// A child's pipes as the runtime reads and writes them.
pub(super) struct Pipes {
    pub(super) input: Input,
    pub(super) stdout: ChildStdout,
    pub(super) stderr: ChildStderr,
}

/// A child's parameters on their way to its standard input.
pub(super) struct Input {
    /// What did not fit into the pipe at once, and the pipe; `None` if all did.
    rest: Option<(ChildStdin, Vec<u8>)>,
}

impl Input {
    /// Writes what fits into the empty pipe: nearly always all, and then the runtime need not watch it.
    fn begin(mut pipe: PipeWriter, params: &JsonText) -> io::Result<Self> {
        ioctl_fionbio(&pipe, true)?;
        let mut rest = params.as_str().as_bytes();
        while !rest.is_empty() {
            match pipe.write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let pipe = std::process::ChildStdin::from(OwnedFd::from(pipe));
                    let rest = Some((ChildStdin::from_std(pipe)?, rest.to_vec()));
                    return Ok(Self { rest });
                }
                // The program does not want them.
                Err(_) => break,
            }
        }
        Ok(Self { rest: None })
    }

    /// Writes the rest. A program that does not want it may close its end or never read.
    pub(super) async fn write_rest(self, ended: &CancellationToken) {
        let Some((mut pipe, rest)) = self.rest else {
            return;
        };
        let write = async {
            let _ = pipe.write_all(&rest).await;
        };
        tokio::select! {
            biased;
            () = write => {}
            () = ended.cancelled() => {}
        }
    }
}
