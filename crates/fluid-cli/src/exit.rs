//! The exit codes. They are stable: scripts may rely on them.

use std::process::ExitCode;

/// How a command ended, as its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Exit {
    /// 0: done; a run that was waited for succeeded.
    Done,
    /// 1: the run failed, was aborted, interrupted or refused.
    RunFailed,
    /// 2: the command line, `fluid.toml` or the parameters are wrong.
    Usage,
    /// 3: the broker can't be reached or used.
    Broker,
    /// 4: there is no such task, run or queue.
    NotFound,
    /// 5: something else went wrong, such as output that could not be written.
    Other,
    /// 124: the run's time limit or the time to wait for it is over, as with `timeout(1)`.
    TimedOut,
    /// 130: interrupted by Ctrl-C or SIGTERM before it was done.
    Interrupted,
    /// Any: that of the program which `exec` carried out as the process of a container.
    Program(u8),
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::RunFailed => 1,
            Self::Usage => 2,
            Self::Broker => 3,
            Self::NotFound => 4,
            Self::Other => 5,
            Self::TimedOut => 124,
            Self::Interrupted => 130,
            Self::Program(code) => code,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// The table of exit codes that `--help` ends with.
pub(crate) const TABLE: &str = "\
Exit codes:
  0    done; a run that was waited for succeeded
  1    the run failed, was aborted, interrupted or refused
  2    the command line, fluid.toml or the parameters are wrong
  3    the broker can't be reached or used
  4    no such task, run or queue
  5    anything else
  124  timed out: the run's own limit, or --wait-timeout
  130  interrupted";
