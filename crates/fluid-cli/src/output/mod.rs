//! What commands print: tables for people, JSON for programs.

mod moment;
pub(crate) mod style;
mod table;

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::exit::Exit;
use crate::failure::Failure;

pub(crate) use moment::{ago, instant, lasted, relative, time_of};
pub(crate) use table::Table;

/// How results are written to standard output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people: a table on a terminal, columns apart by tabs elsewhere.
    #[default]
    Table,
    /// For programs: one JSON value.
    Json,
}

/// Where and how a command prints.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    pub(crate) format: Format,
    pub(crate) stdout_is_terminal: bool,
    pub(crate) stderr_is_terminal: bool,
}

impl Output {
    pub(crate) fn new(format: Format) -> Self {
        Self {
            format,
            stdout_is_terminal: io::stdout().is_terminal(),
            stderr_is_terminal: io::stderr().is_terminal(),
        }
    }

    pub(crate) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// Prints one JSON value on one line.
    pub(crate) fn json<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Failure> {
        let text = serde_json::to_string(value).map_err(|error| {
            Failure::new(Exit::Other, "the answer has no JSON form").caused_by(&error)
        })?;
        self.line(&text)
    }

    /// Prints a line; styles are taken out where standard output is no terminal.
    #[expect(clippy::unused_self, reason = "one way to print, whatever is printed")]
    pub(crate) fn line(self, text: &str) -> Result<(), Failure> {
        written(writeln!(anstream::stdout().lock(), "{text}"))
    }

    /// Prints a table.
    pub(crate) fn table(self, table: &Table) -> Result<(), Failure> {
        self.line(&table.render(self.stdout_is_terminal))
    }
}

/// A reader that is gone, as in `fluid-cli runs list | head`, ends the command without a word.
pub(crate) fn written(result: io::Result<()>) -> Result<(), Failure> {
    result.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::silent(Exit::Other),
        _ => Failure::new(Exit::Other, "the output could not be written").caused_by(&error),
    })
}
