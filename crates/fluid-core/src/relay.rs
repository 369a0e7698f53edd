//! What passes between fluid and its own process inside a container, where a log is all there is for output and a
//! short message all there is for the end.
//!
//! Inside, `exec <task> --run-id <id>` is started with the variables of [`child`](crate::child) and one of
//! [`PARAMS_VARIABLE`] and [`PARAMS_PATH_VARIABLE`]. It carries the attempt out as a subprocess of its own. What
//! that prints goes to standard output, one line for each line, as [`relayed`] writes it and [`read_relayed`] reads
//! it; its end goes to the file that [`RESULT_VARIABLE`](crate::child::RESULT_VARIABLE) names, as a [`RelayReport`].

use std::borrow::Cow;
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::child::{ChildReport, PROGRESS_PREFIX, parse_progress};
use crate::error::{ErrorKind, RetryHint, RunError};
use crate::run::{LogStream, Progress};

/// Holds the parameters as JSON.
pub const PARAMS_VARIABLE: &str = "FLUID_PARAMS";
/// Holds the path of the file with the parameters.
pub const PARAMS_PATH_VARIABLE: &str = "FLUID_PARAMS_PATH";
/// Holds how many bytes the message about the end may have.
pub const LIMIT_VARIABLE: &str = "FLUID_RESULT_LIMIT";

/// Begins a line that was printed to standard error.
const STDERR_PREFIX: &str = "::stderr ";
/// Begins a line of standard output that would be taken for something else.
const STDOUT_PREFIX: &str = "::stdout ";

/// A line of output as it stands in the container's log.
pub fn relayed(stream: LogStream, text: &str) -> Cow<'_, str> {
    let prefixes = [STDERR_PREFIX, STDOUT_PREFIX, PROGRESS_PREFIX];
    match stream {
        LogStream::Stdout if prefixes.iter().any(|prefix| text.starts_with(prefix)) => {
            Cow::Owned(format!("{STDOUT_PREFIX}{text}"))
        }
        LogStream::Stdout => Cow::Borrowed(text),
        LogStream::Stderr | LogStream::System => Cow::Owned(format!("{STDERR_PREFIX}{text}")),
    }
}

/// What a line of the container's log is.
#[derive(Debug, Clone, PartialEq)]
pub enum Relayed {
    /// A line of output.
    Output(LogStream, String),
    /// How far the attempt is.
    Progress(Progress),
}

/// Reads a line of the container's log. What another program printed is output.
pub fn read_relayed(line: String) -> Relayed {
    if let Some(progress) = parse_progress(&line) {
        return Relayed::Progress(progress);
    }
    if let Some(text) = line.strip_prefix(STDERR_PREFIX) {
        return Relayed::Output(LogStream::Stderr, text.to_owned());
    }
    match line.strip_prefix(STDOUT_PREFIX) {
        Some(text) => Relayed::Output(LogStream::Stdout, text.to_owned()),
        None => Relayed::Output(LogStream::Stdout, line),
    }
}

/// How an attempt in a container ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RelayReport {
    /// How many lines it printed to its container's log.
    pub lines: u64,
    /// What came of it; `None` if it was told to stop and did.
    pub end: Option<ChildReport>,
}

impl RelayReport {
    /// The report as it fits into `limit` bytes: a result that does not is an error instead, and an error's
    /// message is cut.
    #[must_use]
    pub fn fitted(self, limit: usize) -> Self {
        let excess = |report: &Self| report.to_text().len().saturating_sub(limit);
        if excess(&self) == 0 {
            return self;
        }
        let error = match self.end {
            Some(ChildReport::Error(error)) => error,
            Some(ChildReport::Result(result)) => RunError::new(
                ErrorKind::Error,
                format!(
                    "the result is {} bytes long and the termination message of a container holds {limit}: \
                     keep large results elsewhere and return where",
                    result.as_str().len()
                ),
            )
            .with_retry(RetryHint::Never),
            None => return self,
        };
        let mut keep = error.message.len();
        loop {
            let error = RunError {
                message: cut(&error.message, keep),
                ..error.clone()
            };
            let report = Self {
                lines: self.lines,
                end: Some(ChildReport::Error(error)),
            };
            match excess(&report) {
                excess if excess == 0 || keep == 0 => return report,
                // JSON writes a byte with up to six.
                excess => keep = keep.saturating_sub(excess.div_ceil(6)),
            }
        }
    }

    /// Writes the report over what `path` holds. The file is not replaced: in a container it is a mount.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)?;
        file.write_all(self.to_text().as_bytes())
    }

    fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads a report; `None` when the text is none, as when something else than fluid ran.
    pub fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

/// At most `keep` bytes of a message: its beginning and its end, which say most.
fn cut(message: &str, keep: usize) -> String {
    if keep >= message.len() {
        return message.to_owned();
    }
    let boundary = |at: usize| {
        (at..=message.len())
            .find(|at| message.is_char_boundary(*at))
            .unwrap_or(message.len())
    };
    let head = (0..=keep / 2)
        .rev()
        .find(|at| message.is_char_boundary(*at))
        .unwrap_or(0);
    let tail = boundary(message.len() - (keep - keep / 2));
    format!("{} … {}", &message[..head], &message[tail..])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::child::progress_line;
    use crate::json::JsonText;

    #[test]
    fn every_line_is_read_as_it_was_printed() {
        let texts = ["", "plain", "::stderr x", "::stdout x", "::progress 1 x"];
        for text in texts {
            for stream in [LogStream::Stdout, LogStream::Stderr] {
                let line = relayed(stream, text).into_owned();
                let expected = Relayed::Output(stream, text.to_owned());
                assert_eq!(read_relayed(line), expected, "{text}");
            }
        }
        let progress = Progress::new(0.5, "halfway");
        assert_eq!(
            read_relayed(progress_line(&progress)),
            Relayed::Progress(progress)
        );
    }

    fn written(end: Option<ChildReport>, limit: usize) -> RelayReport {
        let directory = std::env::temp_dir().join(format!("fluid-relay-{}", uuid::Uuid::new_v4()));
        std::fs::write(&directory, "x".repeat(5000)).unwrap();
        let report = RelayReport { lines: 7, end }.fitted(limit);
        report.write(&directory).unwrap();
        let text = std::fs::read_to_string(&directory).unwrap();
        std::fs::remove_file(&directory).unwrap();
        assert!(text.len() <= limit, "{} > {limit}", text.len());
        RelayReport::read(&text).unwrap()
    }

    #[test]
    fn a_report_replaces_what_was_there() {
        for end in [
            None,
            Some(ChildReport::Result(json!({"answer": 42}).into())),
            Some(ChildReport::Error(RunError::exit(3, "no space"))),
        ] {
            assert_eq!(written(end.clone(), 4096), RelayReport { lines: 7, end });
        }
        assert_eq!(RelayReport::read("hello"), None);
    }

    #[test]
    fn a_result_that_does_not_fit_is_an_error_that_another_attempt_can_not_mend() {
        let large = JsonText::from(json!("x".repeat(5000)));
        let Some(ChildReport::Error(error)) = written(Some(ChildReport::Result(large)), 4096).end
        else {
            panic!("expected an error");
        };
        assert_eq!(error.retry, RetryHint::Never);
        assert!(
            error.message.contains("5002 bytes") && error.message.contains("4096"),
            "{error}"
        );
    }

    #[test]
    fn a_long_error_keeps_its_beginning_and_its_end() {
        for middle in ["ä".repeat(4000), "\u{1b}".repeat(4000)] {
            let error = RunError::exit(3, format!("exit code 3: {middle} the last word"));
            let report = written(Some(ChildReport::Error(error)), 2048);
            let Some(ChildReport::Error(error)) = report.end else {
                panic!("expected an error");
            };
            assert_eq!(error.exit_code, Some(3));
            assert!(error.message.starts_with("exit code 3: "), "{error}");
            assert!(error.message.ends_with(" the last word"), "{error}");
        }
    }
}
