//! What can go wrong with a run, and what a task says about it.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The kind of an error that ended an attempt: what a retry policy chooses by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The task returned an error.
    Error,
    /// The task panicked.
    Panic,
    /// The attempt took longer than the task's timeout.
    Timeout,
    /// The process ended with an exit code other than 0.
    Exit,
    /// The process was ended by a signal.
    Signal,
    /// The attempt could not be started.
    Start,
    /// The parameters are not what the task declares; never retried.
    Parameters,
    /// The consumer vanished in the middle of the attempt, or what carried it out was taken away.
    Lost,
    /// The run was cancelled or asked to abort; never retried.
    Aborted,
}

impl ErrorKind {
    /// The word used in files and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Panic => "panic",
            Self::Timeout => "timeout",
            Self::Exit => "exit",
            Self::Signal => "signal",
            Self::Start => "start",
            Self::Parameters => "parameters",
            Self::Lost => "lost",
            Self::Aborted => "aborted",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a failed attempt asks of the retry policy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RetryHint {
    /// Do what the policy says.
    #[default]
    Policy,
    /// If the policy allows another attempt, wait this long instead of the policy's delay.
    After(Duration),
    /// No other attempt: the run fails now.
    Never,
    /// End the run as aborted.
    Abort,
}

/// Why an attempt or a run ended without a result, as stored with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error, JsonSchema)]
#[error("{message}")]
pub struct RunError {
    /// What a policy can choose by.
    pub kind: ErrorKind,
    /// What happened, for people.
    pub message: String,
    /// The exit code, when a process ended with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal's number, when one ended the process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// What the attempt asks of the retry policy.
    #[serde(default, skip_serializing_if = "is_policy")]
    pub retry: RetryHint,
}

fn is_policy(hint: &RetryHint) -> bool {
    *hint == RetryHint::Policy
}

impl RunError {
    /// An error of this kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            exit_code: None,
            signal: None,
            retry: RetryHint::Policy,
        }
    }

    /// The process ended with this exit code.
    pub fn exit(code: i32, message: impl Into<String>) -> Self {
        Self {
            exit_code: Some(code),
            ..Self::new(ErrorKind::Exit, message)
        }
    }

    /// The process was ended by this signal.
    pub fn signal(signal: i32, message: impl Into<String>) -> Self {
        Self {
            signal: Some(signal),
            ..Self::new(ErrorKind::Signal, message)
        }
    }

    /// The same error with another hint for the retry policy.
    #[must_use]
    pub fn with_retry(mut self, retry: RetryHint) -> Self {
        self.retry = retry;
        self
    }
}

/// The error that a task function returns.
///
/// Every [`std::error::Error`] converts into one with `?`, its sources joined by `: `. On its own such an
/// error leaves the decision to the retry policy; the constructors here say more.
///
/// ```
/// use fluid_core::TaskError;
/// use std::time::Duration;
///
/// fn fetch(status: u16) -> Result<(), TaskError> {
///     match status {
///         200 => Ok(()),
///         404 => Err(TaskError::fatal("the page is gone")),
///         429 => Err(TaskError::new("too many requests").retry_after(Duration::from_secs(60))),
///         499 => Err(TaskError::abort("the user went away")),
///         other => Err(TaskError::new(format!("status {other}"))),
///     }
/// }
/// # assert!(fetch(200).is_ok() && fetch(404).is_err());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct TaskError {
    message: String,
    retry: RetryHint,
}

impl TaskError {
    /// An error whose fate the retry policy decides.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            retry: RetryHint::Policy,
        }
    }

    /// An error that another attempt can't mend: the run fails now.
    pub fn fatal(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            retry: RetryHint::Never,
        }
    }

    /// Ends the run as aborted: it should not go on, and that is no failure.
    pub fn abort(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            retry: RetryHint::Abort,
        }
    }

    /// If the policy allows another attempt, start it after `delay` instead of the policy's own.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry = RetryHint::After(delay);
        self
    }

    /// What happened.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl From<TaskError> for RunError {
    fn from(error: TaskError) -> Self {
        let kind = if error.retry == RetryHint::Abort {
            ErrorKind::Aborted
        } else {
            ErrorKind::Error
        };
        RunError::new(kind, error.message).with_retry(error.retry)
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskError")
            .field("message", &self.message)
            .field("retry", &self.retry)
            .finish()
    }
}

impl<E: std::error::Error> From<E> for TaskError {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            if !message.ends_with(&cause_text) {
                message.push_str(": ");
                message.push_str(&cause_text);
            }
            source = cause.source();
        }
        Self::new(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_chain_is_told_whole() {
        let inner = "x".parse::<u32>().unwrap_err();
        let outer = std::io::Error::other(inner.clone());
        let error: TaskError = outer.into();
        assert_eq!(error.message(), inner.to_string());
        assert_eq!(RunError::from(error).retry, RetryHint::Policy);
    }

    #[test]
    fn an_abort_is_its_own_kind() {
        assert_eq!(
            RunError::from(TaskError::abort("stop")).kind,
            ErrorKind::Aborted
        );
        assert_eq!(
            RunError::from(TaskError::fatal("no")).retry,
            RetryHint::Never
        );
    }
}
