//! The whole command line of an application: its own name and version, its tasks and their flags.

use std::time::Duration;

use clap::builder::styling::{AnsiColor, Styles};
use clap::builder::{Resettable, StyledStr};
use clap::{Arg, Args, Command, CommandFactory};
use fluid_core::{Priority, QueueName, Task, duration};
use jiff::Timestamp;

use super::flag::{flags_of, secret_args};
use super::{Cli, ParamsArgs};
use crate::exit::TABLE;

/// The flags of `exec TASK`.
#[derive(Debug, Args)]
pub(crate) struct ExecArgs {
    /// Don't show a progress bar
    #[arg(long)]
    pub(crate) no_progress: bool,
    /// The run that this process was started for, by an executor
    #[arg(long, hide = true)]
    pub(crate) run_id: Option<String>,
}

/// The flags of `enqueue TASK`.
#[derive(Debug, Args)]
pub(crate) struct EnqueueArgs {
    /// The urgency within the queue: high, medium or low
    #[arg(long, value_name = "PRIORITY")]
    pub(crate) priority: Option<Priority>,
    /// The queue to wait in, instead of the task's own
    #[arg(long, value_name = "QUEUE")]
    pub(crate) queue: Option<QueueName>,
    /// Start it this much later, such as 10m
    #[arg(long, value_name = "TIME", value_parser = duration::parse, conflicts_with = "at")]
    pub(crate) delay: Option<Duration>,
    /// Start it at this instant, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "INSTANT")]
    pub(crate) at: Option<Timestamp>,
    /// Make it the same run as an unfinished one with this key
    #[arg(long, value_name = "KEY")]
    pub(crate) unique_key: Option<String>,
    /// Wait until the run is finished and print its result
    #[arg(long)]
    pub(crate) wait: bool,
    /// Wait at most so long; the run goes on. Implies --wait
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) wait_timeout: Option<Duration>,
    /// Show the run's output while waiting. Implies --wait
    #[arg(long)]
    pub(crate) follow: bool,
    /// Enqueue one run for each line of a file of JSON objects, or `-` for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["wait", "wait_timeout", "follow", "unique_key", "params", "params_file", "secret_env"])]
    pub(crate) many: Option<std::path::PathBuf>,
    /// Don't show a progress bar
    #[arg(long)]
    pub(crate) no_progress: bool,
}

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// The command line of the application `name` with these tasks.
pub(crate) fn command_for<'a>(
    name: &str,
    version: &str,
    about: &str,
    tasks: impl Iterator<Item = &'a Task> + Clone,
) -> Command {
    let mut command = without_empty_variables(Cli::command())
        .name(name.to_owned())
        .bin_name(name.to_owned())
        .version(version.to_owned())
        .about(about.to_owned())
        .styles(STYLES)
        .max_term_width(110)
        .after_help(format!("{}\n\n{TABLE}", examples(name)));
    for (action, after) in [
        ("serve", SERVE_HELP),
        ("dashboard", DASHBOARD_HELP),
        ("runs", RUNS_HELP),
        ("ls", LS_HELP),
        ("status", STATUS_HELP),
    ] {
        command = command.mut_subcommand(action, |c| c.after_help(after.replace("NAME", name)));
    }
    let exec: Vec<_> = tasks
        .clone()
        .map(|task| for_task::<ExecArgs>(task).after_help(EXEC_HELP))
        .collect();
    let enqueue: Vec<_> = tasks.map(for_task::<EnqueueArgs>).collect();
    let none = if exec.is_empty() {
        NO_TASKS.replace("NAME", name)
    } else {
        String::new()
    };
    command
        .mut_subcommand("exec", |c| {
            choice(c, exec).after_help(format!("{none}{EXEC_HELP}"))
        })
        .mut_subcommand("enqueue", |c| {
            choice(c, enqueue).after_help(format!("{none}{}", enqueue_help(name)))
        })
}

/// Takes a variable that is set to nothing as one that is not set.
fn without_empty_variables(command: Command) -> Command {
    let is_empty = |arg: &Arg| {
        let value = arg.get_env().and_then(std::env::var_os);
        value.is_some_and(|value| value.is_empty())
    };
    command
        .mut_args(|arg| {
            if is_empty(&arg) {
                arg.env(Resettable::Reset)
            } else {
                arg
            }
        })
        .mut_subcommands(without_empty_variables)
}

/// A command that wants the name of a task next. Names of no task are let through: the session knows what to
/// say of them.
fn choice(command: Command, tasks: Vec<Command>) -> Command {
    command
        .subcommand_required(true)
        .allow_external_subcommands(true)
        .arg_required_else_help(true)
        .subcommand_value_name("TASK")
        .subcommand_help_heading("Tasks")
        .disable_help_subcommand(true)
        .subcommands(tasks)
}

/// The task as a subcommand: flags for its parameters, the flags of `A`, and parameters as JSON.
fn for_task<A: Args>(task: &Task) -> Command {
    let (flags, secrets) = flags_of(task.params.as_value());
    let mut about = task.description.clone();
    if !secrets.is_empty() {
        let names = secrets.join(", ");
        about.push_str(&format!(
            "\n\nSecret parameters, which have no flag because every user of the machine can read arguments: {names}. \
             Give them by --secret-env NAME=VARIABLE, or in --params-file."
        ));
    }
    let short = task
        .description
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned();
    let mut command = Command::new(task.name.as_str().to_owned());
    command = command.args(secret_args(&secrets, &flags));
    for flag in flags {
        command = command.arg(flag.arg());
    }
    // The heading of the last group goes on for what follows, and the groups bring a description of their own.
    let long = (about != short).then_some(about);
    ParamsArgs::augment_args(A::augment_args(command))
        .about(text(Some(short)))
        .long_about(text(long))
}

/// A description, or none.
fn text(text: Option<String>) -> Resettable<StyledStr> {
    text.filter(|text| !text.is_empty())
        .map(StyledStr::from)
        .into()
}

fn examples(name: &str) -> String {
    format!(
        "Examples:
  {name} serve                          run what is due and what is asked for
  {name} ls                             which tasks there are
  {name} exec TASK --help               what a task takes
  {name} enqueue TASK --wait --follow   ask for a run and watch it
  {name} runs list --state failure      what went wrong
  {name} runs retry --state failure --since 1h"
    )
}

const NO_TASKS: &str = "\
No tasks are declared here. Write a fluid.toml with `NAME init`, or name one with --config.

";

const SERVE_HELP: &str = "\
At the first Ctrl-C or SIGTERM it takes no more runs and gives those that run --drain-timeout to end; at the \
second one it gives them back at once. Several processes may serve one broker.

Examples:
  NAME serve
  NAME serve --queues images,default --concurrency 4
  NAME serve --quiet --log info --log-format json     under a service manager";

const DASHBOARD_HELP: &str = "\
For a machine that looks and takes no runs; `serve` has the dashboard with it. It needs the broker, and the fluid.toml \
of those who serve for tasks to be run from there.

Examples:
  NAME dashboard
  NAME --broker redis://queue.example dashboard --http 127.0.0.1:8080";

const EXEC_HELP: &str = "\
The task runs in front of you: nothing is stored, and there is no retry. What it prints goes to standard error, \
its result goes to standard output as JSON, so that `exec … | jq` works. With --output json standard output gets \
the whole run instead.";

const RUNS_HELP: &str = "\
A run is named by its id, or by the last 6 or more characters of it.

Examples:
  NAME runs list --task resize --state failure --since 1h
  NAME runs show 9d42ab
  NAME runs logs 9d42ab --follow
  NAME runs retry --state failure --since 1h
  NAME runs purge --older-than 7d";

const LS_HELP: &str = "\
Examples:
  NAME ls --tag images
  NAME ls --output json | jq -r '.[].name'";

const STATUS_HELP: &str = "\
Examples:
  NAME status
  NAME status --output json | jq .states.queued";

fn enqueue_help(name: &str) -> String {
    format!(
        "The id of the run goes to standard output; with --wait its result as JSON. A program that a task runs may \
enqueue too: its run is then the parent of the new one.

Examples:
  {name} enqueue resize --width 200
  {name} enqueue resize --width 200 --wait --follow
  {name} enqueue resize --many pictures.jsonl
  {name} enqueue login --secret-env token=MY_TOKEN"
    )
}

#[cfg(test)]
mod tests {
    use super::super::flag::TAKEN;
    use super::*;

    #[test]
    fn parameters_that_would_have_the_same_flag_leave_it_to_the_first() {
        let text = serde_json::json!({"type": "string"});
        let secret = serde_json::json!({"type": "string", "writeOnly": true});
        let schema = serde_json::json!({"properties": {
            "a_b": text, "a-b": text, "A_B": secret, "token": secret, "TOKEN": secret,
        }});
        let task = Task::command("a", fluid_core::Command::new(["true"])).unwrap();
        let task = task.params(fluid_core::ParamsSchema::from_value(schema).unwrap());
        // Clap itself refuses two flags of one name.
        command_for("app", "1", "", std::iter::once(&task)).debug_assert();
    }

    #[test]
    fn no_parameter_takes_the_flag_of_an_option() {
        let task = Task::command("a", fluid_core::Command::new(["true"])).unwrap();
        let mut whole = command_for("app", "1", "", std::iter::once(&task));
        whole.build();
        for name in ["exec", "enqueue"] {
            let call = whole.find_subcommand(name).unwrap();
            let call = call.find_subcommand("a").unwrap();
            for long in call.get_arguments().filter_map(Arg::get_long) {
                assert!(TAKEN.contains(&long), "--{long} of {name} is missing there");
            }
        }
    }
}
