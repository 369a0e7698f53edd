//! What a process gave: its result file, its report, and the way it ended.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use fluid_core::child::ChildReport;
use fluid_core::{ErrorKind, JsonText, Outcome, Redactor, RunError};

use super::group::{Ending, signal_name};

/// The largest result file that is read, in bytes.
const MAX_RESULT: u64 = 16 * 1024 * 1024;

/// The file for one attempt's result. Dropping it removes the file.
#[derive(Debug)]
pub(super) struct ResultFile(PathBuf);

impl ResultFile {
    pub(super) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// What the process wrote; `None` if it wrote nothing.
    async fn read(&self) -> Result<Option<Vec<u8>>, RunError> {
        // Looking is quick, and most commands write no result.
        if matches!(self.0.symlink_metadata(), Err(error) if error.kind() == io::ErrorKind::NotFound)
        {
            return Ok(None);
        }
        let path = self.0.clone();
        let read = tokio::task::spawn_blocking(move || read_file(&path)).await;
        let bytes =
            read.unwrap_or_else(|error| Err(failure(format!("can't read the result: {error}"))))?;
        Ok((!bytes.trim_ascii().is_empty()).then_some(bytes))
    }
}

impl Drop for ResultFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
        let _ = std::fs::remove_file(self.0.with_extension("partial"));
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, RunError> {
    let unreadable = |error: io::Error| failure(format!("can't read the result: {error}"));
    if !path.symlink_metadata().map_err(unreadable)?.is_file() {
        return Err(failure("the result is not a regular file"));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(MAX_RESULT + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_RESULT {
        return Err(failure(format!(
            "the result is larger than the {} MiB that a run may return",
            MAX_RESULT / 1024 / 1024
        )));
    }
    Ok(bytes)
}

/// A process that has ended.
pub(super) struct Ended<'a> {
    pub(super) ending: Ending,
    /// It was asked to stop while it ran.
    pub(super) asked: bool,
    pub(super) result: &'a ResultFile,
    /// The last lines of its standard error.
    pub(super) tail: String,
    pub(super) redactor: &'a Redactor,
}

impl Ended<'_> {
    /// The outcome of a command: what it wrote if it ended with 0.
    pub(super) async fn command(self) -> Outcome {
        if self.ending != Ending::Code(0) {
            return self.stopped_or(self.abnormal());
        }
        let result = match self.result.read().await {
            Ok(Some(bytes)) => json(bytes),
            Ok(None) if self.asked => return Outcome::Cancelled,
            Ok(None) => Ok(JsonText::null()),
            Err(error) => Err(error),
        };
        match result {
            Ok(result) => self.success(result),
            Err(error) => self.stopped_or(error),
        }
    }

    /// The outcome of a function's process: what it reported, however it ended after that.
    pub(super) async fn function(self) -> Outcome {
        let report = match self.result.read().await {
            Ok(report) => report,
            Err(error) => return self.stopped_or(error),
        };
        match report.as_deref().map(ChildReport::read) {
            Some(Ok(ChildReport::Result(result))) => self.success(result),
            Some(Ok(ChildReport::Error(error))) => self.stopped_or(error),
            Some(Err(error)) => {
                let place = format!("line {} column {}", error.line(), error.column());
                self.stopped_or(failure(format!(
                    "the process wrote no report of a task function: {place}"
                )))
            }
            None if self.ending == Ending::Code(0) => {
                self.stopped_or(failure("the process ended without a result"))
            }
            None => self.stopped_or(self.abnormal()),
        }
    }

    fn success(&self, result: JsonText) -> Outcome {
        Outcome::Success(self.redactor.redact_json(result))
    }

    fn stopped_or(&self, mut error: RunError) -> Outcome {
        if self.asked {
            return Outcome::Cancelled;
        }
        error.message = self.redactor.redact(error.message);
        Outcome::Failure(error)
    }

    fn abnormal(&self) -> RunError {
        let with_tail = |what: String| {
            if self.tail.is_empty() {
                what
            } else {
                format!("{what}: {}", self.tail)
            }
        };
        match self.ending {
            Ending::Code(code) => RunError::exit(code, with_tail(format!("exit code {code}"))),
            Ending::Signal(signal) => {
                let what = match signal_name(signal) {
                    Some(name) => format!("ended by {name} ({signal})"),
                    None => format!("ended by signal {signal}"),
                };
                RunError::signal(signal, with_tail(what))
            }
        }
    }
}

fn json(bytes: Vec<u8>) -> Result<JsonText, RunError> {
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        failure(format!("the result is not JSON: byte {at} is not UTF-8"))
    })?;
    JsonText::parse(text.trim())
        .map_err(|error| failure(format!("the result is not JSON: {error}")))
}

fn failure(message: impl Into<String>) -> RunError {
    RunError::new(ErrorKind::Error, message)
}
