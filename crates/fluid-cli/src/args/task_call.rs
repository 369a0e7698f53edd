//! `exec` and `enqueue`: a task's name and what follows it.

use clap::error::ErrorKind;
use clap::{ArgMatches, Args, Command, Error, FromArgMatches};

/// A task and its matches; each task is a subcommand with flags of its own. The matches of a name that is no
/// task's hold none of them.
#[derive(Debug)]
pub(crate) struct TaskCall {
    pub(crate) task: String,
    pub(crate) matches: ArgMatches,
}

impl FromArgMatches for TaskCall {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let (task, matches) = matches
            .subcommand()
            .ok_or_else(|| Error::raw(ErrorKind::MissingSubcommand, "a task is missing\n"))?;
        Ok(Self {
            task: task.to_owned(),
            matches: matches.clone(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for TaskCall {
    fn augment_args(command: Command) -> Command {
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        command
    }
}
