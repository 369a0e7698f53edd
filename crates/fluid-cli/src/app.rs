//! An application: its tasks and the whole command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, FromArgMatches};
use fluid_core::{SharedState, Task};
use tokio::sync::OnceCell;

use crate::args::{Action, Cli, command_for, config_flag};
use crate::commands;
use crate::config::{Config, FILE_NAME};
use crate::detector::Origin;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::logging;
use crate::output::Output;
use crate::session::{CONFIG_VARIABLE, REDIS_VARIABLE, Session};

/// An application with tasks of its own, and the command line that all applications have.
///
/// The [front page](crate) has an example.
#[derive(Debug)]
pub struct App {
    name: String,
    version: String,
    about: String,
    tasks: Vec<Task>,
    state: SharedState,
    needs_file: bool,
}

impl App {
    /// An application that is called by this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            about: "Tasks on a queue, carried out where they belong".to_owned(),
            tasks: Vec::new(),
            state: SharedState::default(),
            needs_file: false,
        }
    }

    /// The stock binary: all tasks come from `fluid.toml`.
    pub fn stock() -> Self {
        Self {
            needs_file: true,
            ..Self::new("fluid-cli")
        }
    }

    /// Sets the version that `--version` and `serve` show.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// Sets the sentence that `--help` begins with.
    #[must_use]
    pub fn about(mut self, about: impl Into<String>) -> Self {
        self.about = about.into();
        self
    }

    /// Adds a task.
    #[must_use]
    pub fn task(mut self, task: impl Into<Task>) -> Self {
        self.tasks.push(task.into());
        self
    }

    /// Adds tasks.
    #[must_use]
    pub fn tasks(mut self, tasks: impl IntoIterator<Item = Task>) -> Self {
        self.tasks.extend(tasks);
        self
    }

    /// Shares a value with all task functions, which find it by its type.
    #[must_use]
    pub fn state<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.state.insert(value);
        self
    }

    /// Does what the process's arguments say, on a runtime of its own. Meant to be what `main` returns.
    pub fn main(self) -> ExitCode {
        let runtime = match tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
        {
            Ok(runtime) => runtime,
            Err(error) => {
                eprintln!("error: no runtime could be started: {error}");
                return Exit::Other.into();
            }
        };
        let exit = runtime.block_on(self.run(std::env::args_os()));
        // A thread that waits for standard input must not hold up the end.
        runtime.shutdown_background();
        exit.into()
    }

    /// Does what `args` say, the program's own name first, on the current runtime, which must have several
    /// threads. Listens to Ctrl-C and SIGTERM while it works.
    pub async fn run(self, args: impl IntoIterator<Item = OsString>) -> Exit {
        let args: Vec<OsString> = args.into_iter().collect();
        let as_json = wants_json(&args);
        match self.act(&args).await {
            Ok(exit) => exit,
            Err(failure) => {
                failure.report(as_json);
                failure.exit
            }
        }
    }

    async fn act(mut self, args: &[OsString]) -> Result<Exit, Failure> {
        // A faulty file must not keep anybody from the help.
        let (config, fault) = match config(args) {
            Ok(config) => (config, None),
            Err(fault) => (None, Some(fault)),
        };
        if let Some(config) = &config {
            self.tasks.extend(config.tasks.iter().cloned());
        }
        for (index, task) in self.tasks.iter().enumerate() {
            if self.tasks[..index]
                .iter()
                .any(|other| other.name == task.name)
            {
                return Err(
                    Failure::usage(format!("two tasks are named {:?}", task.name))
                        .help("give one of them another name, in fluid.toml or in the application"),
                );
            }
        }
        let command = command_for(&self.name, &self.version, &self.about, self.tasks.iter());
        let matches = command.try_get_matches_from(args);
        let parsed = matches.and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, matches)));
        let (cli, matches) = match (parsed, fault) {
            (Err(error), _) if is_help(&error) => return Ok(said_by_clap(&error)),
            (_, Some(fault)) => return Err(fault),
            (Err(error), None) if wants_json(args) => return Err(refused_by_clap(&error)),
            (Err(error), None) => return Ok(said_by_clap(&error)),
            (Ok(parsed), None) => parsed,
        };
        let output = Output::new(cli.global.output);
        let filter = match (&cli.global.log, &cli.command) {
            (Some(filter), _) => filter.as_str(),
            (None, Action::Serve(args)) if !args.tells_on_terminal(output) => logging::TOLD,
            (None, Action::Dashboard(_)) if !output.stderr_is_terminal => logging::TOLD,
            (None, _) => logging::WARNED,
        };
        logging::begin(filter, cli.global.log_format)?;
        let origin = |id, flag, variable| match source(&matches, id) {
            Some(ValueSource::EnvVariable) => Origin::Variable(variable),
            _ => Origin::Flag(flag),
        };
        let broker_origin = origin("broker", "--broker", "FLUID_BROKER_URL");
        let executor_origin = origin("executor", "--executor", "FLUID_EXECUTOR");
        let http_origin = origin("address", "--http", "FLUID_HTTP");
        let (settings, http, file) = match config {
            Some(config) => (config.settings, config.http, Some(config.path)),
            None => Default::default(),
        };
        let session = Session {
            name: self.name,
            version: self.version,
            output,
            settings,
            http,
            file,
            needs_file: self.needs_file,
            tasks: self.tasks,
            state: self.state,
            broker_wanted: cli
                .global
                .broker
                .filter(|url| !url.is_empty())
                .map(|url| (url, broker_origin)),
            redis_default: std::env::var(REDIS_VARIABLE)
                .ok()
                .filter(|url| cfg!(feature = "redis") && !url.is_empty()),
            http_origin,
            executor_wanted: cli.global.executor.map(|kind| (kind, executor_origin)),
            manager: OnceCell::new(),
        };
        commands::run(Arc::new(session), cli.command).await
    }
}

/// Where the value of a global option came from; the subcommands know too.
fn source(matches: &ArgMatches, id: &str) -> Option<ValueSource> {
    let below = matches
        .subcommand()
        .and_then(|(_, matches)| source(matches, id));
    let here = matches
        .try_contains_id(id)
        .is_ok()
        .then(|| matches.value_source(id))
        .flatten();
    match below {
        Some(ValueSource::CommandLine) => below,
        _ => here.or(below),
    }
}

/// The `fluid.toml` that is named, or the one in the current directory.
fn config(args: &[OsString]) -> Result<Option<Config>, Failure> {
    let variable = || {
        std::env::var_os(CONFIG_VARIABLE)
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
    };
    let named = config_flag(args).or_else(variable);
    let path = match &named {
        Some(path) => path.as_path(),
        None if Path::new(FILE_NAME).exists() => Path::new(FILE_NAME),
        None => return Ok(None),
    };
    Ok(Some(Config::load(path)?))
}

/// Whether failures are to be JSON, known before the arguments are understood.
fn wants_json(args: &[OsString]) -> bool {
    let pairs = args
        .windows(2)
        .any(|pair| pair[0] == "--output" && pair[1] == "json");
    pairs || args.iter().any(|arg| arg == "--output=json")
}

fn is_help(error: &clap::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    )
}

fn said_by_clap(error: &clap::Error) -> Exit {
    // A reader that is gone has no use for the text.
    let _ = error.print();
    if is_help(error) {
        Exit::Done
    } else {
        Exit::Usage
    }
}

/// What clap refuses, for programs: its first paragraph is what is wrong, the others are for people.
fn refused_by_clap(error: &clap::Error) -> Failure {
    let text = error.to_string();
    let first = text.split("\n\n").next().unwrap_or(&text);
    let what = first.strip_prefix("error: ").unwrap_or(first);
    Failure::usage(what.split_whitespace().collect::<Vec<_>>().join(" "))
}
