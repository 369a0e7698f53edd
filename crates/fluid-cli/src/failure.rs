//! An error as a person needs it: what happened, why, and what to do.

use std::error::Error;
use std::fmt;

use fluid_core::BrokerError;
use fluid_scheduler::{ManagerError, QueueError, WaitError};
use serde_json::json;

use crate::config::ConfigError;
use crate::exit::Exit;

/// Why a command ended without doing what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    what: String,
    why: Vec<String>,
    todo: Option<String>,
    /// Faults in a file, shown with the lines they are in.
    file: Option<Box<ConfigError>>,
    /// Everything was said already.
    silent: bool,
}

/// What a command returns.
pub(crate) type Done = Result<Exit, Failure>;

impl Failure {
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self {
            exit,
            what: what.into(),
            why: Vec::new(),
            todo: None,
            file: None,
            silent: false,
        }
    }

    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what)
    }

    pub(crate) fn not_found(what: impl Into<String>) -> Self {
        Self::new(Exit::NotFound, what)
    }

    /// Ends with this code; everything was said already.
    pub(crate) fn silent(exit: Exit) -> Self {
        Self {
            silent: true,
            ..Self::new(exit, "")
        }
    }

    #[must_use]
    pub(crate) fn because(mut self, why: impl Into<String>) -> Self {
        self.why.push(why.into());
        self
    }

    /// Adds an error and its sources as reasons.
    #[must_use]
    pub(crate) fn caused_by(mut self, error: &dyn Error) -> Self {
        self.why.push(error.to_string());
        let mut source = error.source();
        while let Some(error) = source {
            let text = error.to_string();
            if !self.why.iter().any(|said| said.contains(&text)) {
                self.why.push(text);
            }
            source = error.source();
        }
        self
    }

    #[must_use]
    pub(crate) fn help(mut self, todo: impl Into<String>) -> Self {
        self.todo = Some(todo.into());
        self
    }

    /// The failure as one JSON value.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        let mut error = json!({ "exit_code": self.exit.code(), "message": self.what });
        if let Some(file) = &self.file {
            error["file"] = json!(file.path());
            error["faults"] = json!(file.faults());
        }
        if !self.why.is_empty() {
            error["why"] = json!(self.why);
        }
        if let Some(todo) = &self.todo {
            error["help"] = json!(todo);
        }
        json!({ "error": error })
    }

    /// Says it on standard error, with colour if that is a terminal.
    pub(crate) fn report(&self, as_json: bool) {
        if self.silent {
            return;
        }
        if as_json {
            anstream::eprintln!("{}", self.to_json());
        } else {
            anstream::eprint!("{self}");
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use crate::output::style::{BAD, NOTE};
        if let Some(file) = &self.file {
            return f.write_str(&file.render());
        }
        writeln!(f, "{BAD}error:{BAD:#} {}", self.what)?;
        for why in &self.why {
            for (index, line) in why.lines().enumerate() {
                let mark = if index == 0 { "because:" } else { "        " };
                writeln!(f, "  {NOTE}{mark}{NOTE:#} {line}")?;
            }
        }
        for (index, line) in self.todo.iter().flat_map(|t| t.lines()).enumerate() {
            let mark = if index == 0 { "help:" } else { "     " };
            writeln!(f, "  {NOTE}{mark}{NOTE:#} {line}")?;
        }
        Ok(())
    }
}

impl From<BrokerError> for Failure {
    fn from(error: BrokerError) -> Self {
        let exit = match &error {
            BrokerError::Invalid { .. } => Exit::Usage,
            _ => Exit::Broker,
        };
        let failure = Self::new(exit, "the broker could not do it").caused_by(&error);
        match &error {
            BrokerError::Unreachable { .. } => failure
                .help("check that it is there and that --broker or FLUID_BROKER_URL names it"),
            BrokerError::Locked { .. } => {
                failure.help("try again, or end the process that holds it")
            }
            _ => failure,
        }
    }
}

impl From<ManagerError> for Failure {
    fn from(error: ManagerError) -> Self {
        Self::usage("the tasks can't be used as they are declared").caused_by(&error)
    }
}

impl From<QueueError> for Failure {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Broker(error) => error.into(),
            QueueError::UnknownTask { .. } => Self::not_found(error.to_string()),
            other => Self::usage(other.to_string()),
        }
    }
}

impl From<WaitError> for Failure {
    fn from(error: WaitError) -> Self {
        match error {
            WaitError::Broker(error) => error.into(),
            WaitError::NotFound(_) => Self::not_found(error.to_string()).because(
                "it was deleted meanwhile, by hand or because it was older than the retention",
            ),
            other => Self::new(Exit::TimedOut, other.to_string()),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        match &error {
            ConfigError::Unreadable { path, source } => {
                Self::usage(format!("{} can't be read", path.display()))
                    .caused_by(source)
                    .help(
                        "name another file with --config or FLUID_CONFIG, or write one with `init`",
                    )
            }
            ConfigError::Faulty { .. } => Self {
                file: Some(Box::new(error)),
                ..Self::usage("fluid.toml has faults")
            },
        }
    }
}
