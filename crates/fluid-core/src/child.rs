//! What passes between fluid and a child process or Job, whichever executor started it.
//!
//! Parameters travel on standard input as JSON, never in the arguments. The variables below say which run it is
//! and where the result goes; a command finds its simple parameters in variables too, see [`PARAM_PREFIX`]. A line on standard output that begins with [`PROGRESS_PREFIX`] is not output but
//! progress: `::progress 0.5 halfway`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::RunError;
use crate::id::{QueueName, RunId, TaskName};
use crate::json::JsonText;
use crate::params::Params;
use crate::priority::Priority;
use crate::run::{Due, NewRun, Progress, TaskRun, Trigger};

/// Holds the run's id.
pub const RUN_ID_VARIABLE: &str = "FLUID_RUN_ID";
/// Holds the task's name.
pub const TASK_VARIABLE: &str = "FLUID_TASK";
/// Holds the attempt's number, from 1.
pub const ATTEMPT_VARIABLE: &str = "FLUID_ATTEMPT";
/// Holds the id of the first of the chain of parents.
pub const ROOT_ID_VARIABLE: &str = "FLUID_ROOT_ID";
/// Holds the path of the file for the result. A program writes any JSON there; a task function's process
/// writes a [`ChildReport`].
pub const RESULT_VARIABLE: &str = "FLUID_RESULT_PATH";
/// Holds a [`ChildRun`] as JSON; only set for a task function's process.
pub const RUN_VARIABLE: &str = "FLUID_RUN";
/// Holds the URL of the broker, so that a child can enqueue runs.
pub const BROKER_VARIABLE: &str = "FLUID_BROKER_URL";

/// Begins the names of variables that hold parameters; only set for a command. After it comes the parameter's
/// name in upper case, each character other than `A` to `Z` and `0` to `9` replaced by `_`: `max-width` is
/// `FLUID_PARAM_MAX_WIDTH`. See [`param_variables`] for which parameters there are.
pub const PARAM_PREFIX: &str = "FLUID_PARAM_";
/// The longest parameter in a variable, in bytes of its text.
pub const MAX_PARAM_VARIABLE: usize = 4 * 1024;
/// How many bytes all variables of parameters may have together: the kernel limits the whole environment.
pub const MAX_PARAM_VARIABLES: usize = 256 * 1024;

/// Begins a line of standard output that tells progress.
pub const PROGRESS_PREFIX: &str = "::progress ";

/// The variables that tell a command its simple parameters: every string, number and boolean at the top level
/// that is no secret and at most [`MAX_PARAM_VARIABLE`] long. A string is given as it is, the others as JSON
/// writes them.
///
/// Left out are `null`, strings with a NUL character, which no variable can hold, and what is beyond
/// [`MAX_PARAM_VARIABLES`] in the order of names. When two names make the same variable it holds the parameter
/// whose name comes first. Standard input always has all of them.
pub fn param_variables(params: &Params) -> BTreeMap<String, String> {
    let secrets = params.secret_paths();
    let mut variables = BTreeMap::new();
    if secrets.iter().any(String::is_empty) {
        return variables;
    }
    let members: BTreeMap<String, Box<RawValue>> = params.expose().to().unwrap_or_default();
    let mut room = MAX_PARAM_VARIABLES;
    for (name, value) in members {
        let Some(text) = simple(&value) else {
            continue;
        };
        let path = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
        if text.len() > MAX_PARAM_VARIABLE || text.contains('\0') || secrets.contains(&path) {
            continue;
        }
        let variable = param_variable(&name);
        let size = variable.len() + text.len();
        if size > room {
            break;
        }
        if let Entry::Vacant(free) = variables.entry(variable) {
            free.insert(text);
            room -= size;
        }
    }
    variables
}

/// The text of a string, number or boolean. A number keeps all its digits.
fn simple(value: &RawValue) -> Option<String> {
    match value.get().as_bytes().first()? {
        b'"' => serde_json::from_str(value.get()).ok(),
        b'{' | b'[' | b'n' => None,
        _ => Some(value.get().to_owned()),
    }
}

fn param_variable(name: &str) -> String {
    let letters = name.chars().map(|letter| match letter {
        'a'..='z' | 'A'..='Z' | '0'..='9' => letter.to_ascii_uppercase(),
        _ => '_',
    });
    PARAM_PREFIX.chars().chain(letters).collect()
}

/// Reads a line that tells progress: the prefix, a number from 0 to 1, and a message that may be empty.
pub fn parse_progress(line: &str) -> Option<Progress> {
    let rest = line.strip_prefix(PROGRESS_PREFIX)?.trim_start();
    let (fraction, message) = rest.split_once(' ').unwrap_or((rest, ""));
    let fraction: f64 = fraction.parse().ok()?;
    fraction
        .is_finite()
        .then(|| Progress::new(fraction, message.trim()))
}

/// Writes the line that [`parse_progress`] reads.
pub fn progress_line(progress: &Progress) -> String {
    let message = progress.message.replace(['\n', '\r'], " ");
    format!("{PROGRESS_PREFIX}{} {message}", progress.fraction)
}

/// What the process of a task function writes when it ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChildReport {
    /// What the function returned.
    Result(JsonText),
    /// Why it failed.
    Error(RunError),
}

impl ChildReport {
    /// Writes the report so that a reader sees all of it or nothing.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let text = serde_json::to_vec(self)?;
        let partial = path.with_extension("partial");
        std::fs::write(&partial, text)?;
        std::fs::rename(partial, path)
    }

    /// Reads a report.
    ///
    /// # Errors
    /// When it is no report.
    pub fn read(text: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(text)
    }
}

/// What the process of a task function is told of its run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildRun {
    id: RunId,
    task: TaskName,
    queue: QueueName,
    priority: Priority,
    trigger: Trigger,
    parent: Option<RunId>,
    root: Option<RunId>,
    retry_of: Option<RunId>,
    attempt: u32,
    failures: u32,
    interruptions: u32,
    created_at: Timestamp,
    due_at: Timestamp,
    started_at: Option<Timestamp>,
}

impl From<&TaskRun> for ChildRun {
    fn from(run: &TaskRun) -> Self {
        Self {
            id: run.id,
            task: run.task.clone(),
            queue: run.queue.clone(),
            priority: run.priority,
            trigger: run.trigger,
            parent: run.parent,
            root: run.root,
            retry_of: run.retry_of,
            attempt: run.attempt,
            failures: run.failures,
            interruptions: run.interruptions,
            created_at: run.created_at,
            due_at: run.due_at,
            started_at: run.started_at,
        }
    }
}

impl ChildRun {
    /// The record of the run, with the parameters that came on standard input.
    pub fn into_run(self, params: Params) -> TaskRun {
        let new = NewRun {
            id: self.id,
            queue: self.queue,
            priority: self.priority,
            trigger: self.trigger,
            parent: self.parent,
            root: self.root,
            retry_of: self.retry_of,
            due: Due::At(self.due_at),
            ..NewRun::new(self.task, params)
        };
        let mut run = TaskRun::enqueued(&new, self.created_at, self.due_at);
        run.state = crate::state::RunState::Running;
        run.attempt = self.attempt;
        run.failures = self.failures;
        run.interruptions = self.interruptions;
        run.started_at = self.started_at;
        run
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn progress_survives_its_line() {
        let progress = Progress::new(0.25, "a\nb");
        assert_eq!(
            parse_progress(&progress_line(&progress)),
            Some(Progress::new(0.25, "a b"))
        );
        assert_eq!(parse_progress("::progress 1"), Some(Progress::new(1.0, "")));
        for other in ["progress 1", "::progress x", "::progress NaN", "::progress"] {
            assert_eq!(parse_progress(other), None, "{other}");
        }
    }

    fn variables(json: Value, secrets: &[&str]) -> Vec<(String, String)> {
        let secrets: Vec<_> = secrets.iter().map(|&path| path.to_owned()).collect();
        let params = Params::stored(JsonText::from(json), secrets);
        param_variables(&params).into_iter().collect()
    }

    #[test]
    fn simple_parameters_become_variables() {
        let given = variables(
            json!({
                "path": "a b\n", "max-width": 7, "ratio": 0.5, "größe": true, "gone": null,
                "list": [1], "object": {"a": 1}, "nul": "a\u{0}b", "token": "s", "a/b~": "t",
                "long": "x".repeat(MAX_PARAM_VARIABLE + 1), "fits": "x".repeat(MAX_PARAM_VARIABLE),
            }),
            &["/token", "/a~1b~0"],
        );
        let fits = "x".repeat(MAX_PARAM_VARIABLE);
        let expected = [
            ("FITS", fits.as_str()),
            ("GR__E", "true"),
            ("MAX_WIDTH", "7"),
            ("PATH", "a b\n"),
            ("RATIO", "0.5"),
        ];
        let expected = expected.map(|(name, text)| (format!("{PARAM_PREFIX}{name}"), text.into()));
        assert_eq!(given, expected);
    }

    #[test]
    fn a_number_in_a_variable_keeps_its_digits() {
        let json = JsonText::trusted(r#"{"a": 12345678901234567890123, "b": 1e999}"#);
        let given = param_variables(&Params::stored(json, []));
        let given: Vec<_> = given.into_values().collect();
        assert_eq!(given, ["12345678901234567890123", "1e999"]);
    }

    #[test]
    fn the_first_of_two_parameters_with_one_variable_is_told() {
        for json in [
            r#"{"a_b": 1, "a-b": 2, "A.B": 3}"#,
            r#"{"A.B": 3, "a-b": 2, "a_b": 1}"#,
        ] {
            let given = variables(JsonText::parse(json).unwrap().to_value(), &[]);
            assert_eq!(given, [("FLUID_PARAM_A_B".to_owned(), "3".to_owned())]);
        }
    }

    #[test]
    fn parameters_that_are_secret_as_a_whole_or_no_object_are_in_no_variable() {
        assert_eq!(variables(json!({"a": 1}), &[""]), []);
        assert_eq!(variables(json!(["a"]), &[]), []);
    }

    #[test]
    fn the_variables_of_parameters_have_a_limit_together() {
        let many: serde_json::Map<_, _> = (0..200)
            .map(|number| (format!("{number:03}"), "x".repeat(4000).into()))
            .collect();
        let given = variables(many.into(), &[]);
        let size: usize = given
            .iter()
            .map(|(name, text)| name.len() + text.len())
            .sum();
        assert!(
            size <= MAX_PARAM_VARIABLES && size > MAX_PARAM_VARIABLES - 5000,
            "{size}"
        );
        assert_eq!(given[0].0, "FLUID_PARAM_000");
    }

    #[test]
    fn a_run_survives_the_way_to_its_child() {
        let new = NewRun::new(TaskName::parse("t").unwrap(), Params::default());
        let now = Timestamp::now();
        let mut run = TaskRun::enqueued(&new, now, now);
        run.attempt = 2;
        run.state = crate::state::RunState::Running;
        let text = serde_json::to_string(&ChildRun::from(&run)).unwrap();
        let back: ChildRun = serde_json::from_str(&text).unwrap();
        assert_eq!(back.into_run(Params::default()), run);
    }
}
