//! The exit codes. They are stable: scripts may rely on them.

use std::process::ExitCode;

/// How a command ended, as its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Exit {
    /// 0: done; a run that was waited for succeeded.
    Done = 0,
    /// 1: the run failed, was aborted, interrupted or refused.
    RunFailed = 1,
    /// 2: the command line, `fluid.toml` or the parameters are wrong.
    Usage = 2,
    /// 3: the broker can't be reached or used.
    Broker = 3,
    /// 4: there is no such task, run or queue.
    NotFound = 4,
    /// 5: something else went wrong, such as output that could not be written.
    Other = 5,
    /// 124: the run's time limit or the time to wait for it is over, as with `timeout(1)`.
    TimedOut = 124,
    /// 130: interrupted by Ctrl-C or SIGTERM before it was done.
    Interrupted = 130,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        self as u8
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
