//! What is wrong with a `fluid.toml`, and where.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError,
    MietteSpanContents, SourceCode, SourceSpan, SpanContents,
};
use serde::Serialize;

/// A `fluid.toml` that can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// It can't be read.
    #[error("{path:?} can't be read: {source}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It has faults.
    #[error("{path:?} has {} fault(s), the first: {}", .faults.len(), .faults[0].message)]
    Faulty {
        /// Which file.
        path: PathBuf,
        /// Its text.
        text: String,
        /// At least one, in the order of the file.
        faults: Vec<Fault>,
    },
}

/// One fault and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Fault {
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The bytes at fault.
    #[serde(skip)]
    pub span: Range<usize>,
}

impl Fault {
    pub(super) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: None,
            line: 0,
            column: 0,
            span,
        }
    }

    #[must_use]
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl ConfigError {
    pub(super) fn faulty(path: &Path, text: &str, mut faults: Vec<Fault>) -> Self {
        faults.sort_by_key(|fault| fault.span.start);
        for fault in &mut faults {
            (fault.line, fault.column) = place(text, fault.span.start);
        }
        Self::Faulty {
            path: path.to_owned(),
            text: text.to_owned(),
            faults,
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        match self {
            Self::Unreadable { path, .. } | Self::Faulty { path, .. } => path,
        }
    }

    /// Its faults; none when it could not be read.
    pub fn faults(&self) -> &[Fault] {
        match self {
            Self::Unreadable { .. } => &[],
            Self::Faulty { faults, .. } => faults,
        }
    }

    /// Every fault with the lines it is in, marked, for a terminal.
    pub(crate) fn render(&self) -> String {
        let Self::Faulty { path, text, faults } = self else {
            return format!("error: {self}\n");
        };
        let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode())
            .with_width(100)
            .with_context_lines(1);
        let mut out = String::new();
        for fault in faults {
            let shown = Shown { fault, path, text };
            if handler.render_report(&mut out, &shown).is_err() {
                out.push_str(&format!(
                    "{}:{}: {}\n",
                    fault.line, fault.column, fault.message
                ));
            }
        }
        out
    }
}

fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count()
        + 1;
    (line, column)
}

#[derive(Debug)]
struct Shown<'a> {
    fault: &'a Fault,
    path: &'a Path,
    text: &'a str,
}

/// Columns are told in characters, as editors do; miette by itself counts bytes.
impl SourceCode for Shown<'_> {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        lines_before: usize,
        lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let read = self.text.read_span(span, lines_before, lines_after)?;
        let (_, column) = place(self.text, read.span().offset());
        Ok(Box::new(MietteSpanContents::new_named(
            self.path.to_string_lossy().into_owned(),
            read.data(),
            *read.span(),
            read.line(),
            column - 1,
            read.line_count(),
        )))
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fault.message)
    }
}

impl std::error::Error for Shown<'_> {}

impl Diagnostic for Shown<'_> {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let help = self.fault.help.as_ref()?;
        Some(Box::new(help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(self)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = LabeledSpan::new_with_span(None, self.fault.span.clone());
        Some(Box::new(std::iter::once(span)))
    }
}
