//! The parameters of a run, from flags, `--params`, a file, standard input and the environment.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{ArgMatches, Args, FromArgMatches};
use fluid_core::{JsonText, Params, ParamsError, Task};
use serde_json::{Map, Value};

use super::flag::{Flag, flags_of, secret_id};
use crate::failure::Failure;

/// Parameters that are not flags of their own.
#[derive(Debug, Args)]
#[command(next_help_heading = "Parameters as JSON")]
pub(crate) struct ParamsArgs {
    /// All parameters as a JSON object; flags go on top of it. Not for secrets: every user of the machine can
    /// read arguments
    #[arg(long, value_name = "JSON", conflicts_with = "params_file")]
    pub(crate) params: Option<String>,
    /// A file with all parameters as a JSON object, or `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) params_file: Option<PathBuf>,
    /// Take a secret parameter from an environment variable; again for more
    #[arg(long, value_name = "NAME=VARIABLE")]
    pub(crate) secret_env: Vec<String>,
}

/// Reads and checks the parameters of a call.
///
/// # Errors
/// A usage error that names the flag, and never a secret.
pub(crate) fn read(task: &Task, matches: &ArgMatches) -> Result<Params, Failure> {
    let args =
        ParamsArgs::from_arg_matches(matches).map_err(|error| Failure::usage(error.to_string()))?;
    let schema = task.params.as_value();
    let (flags, secrets) = flags_of(schema);
    let tried = |name: &&String| {
        let id = secret_id(name);
        matches.try_contains_id(&id).is_ok_and(|given| given)
    };
    if let Some(secret) = secrets.iter().find(tried) {
        return Err(secret_in_arguments(secret));
    }
    let mut object = base(task, &args)?;
    let mut faults = Vec::new();
    for flag in &flags {
        match given(flag, matches) {
            Ok(Some(value)) => {
                object.insert(flag.name.clone(), value);
            }
            Ok(None) => {}
            Err(fault) => faults.push(fault),
        }
    }
    if !faults.is_empty() {
        return Err(refused(task, faults));
    }
    for assignment in &args.secret_env {
        let (name, value) = from_environment(assignment, &secrets)?;
        object.insert(name, value);
    }
    task.params
        .check(JsonText::from(Value::Object(object)))
        .map_err(|error| refused(task, faults_of(error, &flags, &secrets)))
}

/// What `--params` or the file holds.
fn base(task: &Task, args: &ParamsArgs) -> Result<Map<String, Value>, Failure> {
    if let Some(text) = &args.params {
        let object = object(text, "--params")?;
        let whole = Value::Object(object.clone());
        if let Some(secret) = task.params.secret_paths(&whole).first() {
            return Err(secret_in_arguments(secret.trim_start_matches('/')));
        }
        return Ok(object);
    }
    match &args.params_file {
        Some(path) if path.as_os_str() == "-" => object(&read_all(path)?, "standard input"),
        Some(path) => object(&read_all(path)?, &path.to_string_lossy()),
        None => Ok(Map::new()),
    }
}

/// Checks one line of a batch.
///
/// # Errors
/// A usage error that names the line, and never a secret.
pub(crate) fn read_one(task: &Task, line: &str, place: &str) -> Result<Params, Failure> {
    let object = object(line, place)?;
    let (flags, secrets) = flags_of(task.params.as_value());
    task.params
        .check(JsonText::from(Value::Object(object)))
        .map_err(|error| {
            refused(task, faults_of(error, &flags, &secrets)).because(format!("in {place}"))
        })
}

fn secret_in_arguments(name: &str) -> Failure {
    Failure::usage(format!("{name} is secret"))
        .because("every user of this machine can read the arguments of a process")
        .help(SECRET_HELP)
}

/// How secrets are given.
pub(crate) const SECRET_HELP: &str = "give it by --secret-env NAME=VARIABLE, --params-file FILE, or --params-file - for standard input";

/// Reads a file, or standard input for `-`.
pub(crate) fn read_all(path: &Path) -> Result<String, Failure> {
    let read = if path.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(path)
    };
    read.map_err(|error| {
        Failure::usage(format!("{} can't be read", path.display())).caused_by(&error)
    })
}

fn object(text: &str, place: &str) -> Result<Map<String, Value>, Failure> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Failure::usage(format!("{place} must be a JSON object"))
            .help("such as {\"path\": \"a.png\"}")),
        // The parser's own message may quote a value, and that may be a secret.
        Err(error) => Err(Failure::usage(format!(
            "{place} is not JSON: line {} column {}",
            error.line(),
            error.column()
        ))),
    }
}

fn given(flag: &Flag, matches: &ArgMatches) -> Result<Option<Value>, String> {
    let Some(texts) = matches.get_many::<String>(&flag.id()) else {
        return Ok(None);
    };
    let mut values = Vec::new();
    for text in texts {
        values.push(flag.value(text)?);
    }
    if flag.many {
        Ok(Some(Value::Array(values)))
    } else {
        Ok(values.pop())
    }
}

fn from_environment(assignment: &str, secrets: &[String]) -> Result<(String, Value), Failure> {
    let Some((name, variable)) = assignment.split_once('=') else {
        return Err(Failure::usage("--secret-env takes NAME=VARIABLE")
            .help("NAME is the parameter, VARIABLE the environment variable that holds it"));
    };
    if !secrets.iter().any(|secret| secret == name) {
        return Err(Failure::usage(format!(
            "the task has no secret parameter {name:?}"
        )));
    }
    let value = std::env::var(variable).map_err(|_| {
        Failure::usage(format!(
            "--secret-env {name}: there is no environment variable of that name, or it is not text"
        ))
        .help("write the name of the variable after the =, not the secret itself")
    })?;
    Ok((name.to_owned(), Value::String(value)))
}

fn refused(task: &Task, faults: Vec<String>) -> Failure {
    let failure = Failure::usage(format!("task {:?} can't take these parameters", task.name));
    let failure = faults.into_iter().fold(failure, Failure::because);
    failure.help(format!(
        "see what it takes with `exec {} --help`",
        task.name
    ))
}

/// The faults of a check, in the words of the command line.
fn faults_of(error: ParamsError, flags: &[Flag], secrets: &[String]) -> Vec<String> {
    match error {
        ParamsError::Invalid { faults } => faults
            .iter()
            .map(|fault| in_flags(fault, flags, secrets))
            .collect(),
        other => vec![other.to_string()],
    }
}

/// Names the flag instead of the place in the JSON, where there is one.
fn in_flags(fault: &str, flags: &[Flag], secrets: &[String]) -> String {
    let flag = |name: &str| flags.iter().find(|flag| flag.name == name);
    let (place, rest) = ParamsError::place(fault);
    if let Some(place) = place.strip_prefix('/') {
        let name = place.split('/').next().unwrap_or(place);
        return match flag(name) {
            Some(flag) => format!("--{}: {rest}", flag.long),
            None => format!("{place}: {rest}"),
        };
    }
    if let Some(name) = fault
        .strip_suffix(" is a required property")
        .map(|n| n.trim_matches('"'))
    {
        return match flag(name) {
            Some(flag) => format!("--{} is missing", flag.long),
            None if secrets.iter().any(|secret| secret == name) => {
                format!("the secret {name} is missing: {SECRET_HELP}")
            }
            None => format!("{name} is missing: give it by --params"),
        };
    }
    fault.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Command;
    use fluid_core::ParamsSchema;
    use serde_json::json;

    fn task() -> Task {
        let schema = json!({
            "type": "object", "required": ["width", "token"], "additionalProperties": false,
            "properties": {
                "width": {"type": "integer", "minimum": 1},
                "keep_ratio": {"type": "boolean"},
                "tags": {"type": "array", "items": {"type": "string"}},
                "token": {"type": "string", "writeOnly": true},
                "nested": {"type": "object"},
            },
        });
        Task::command("resize", fluid_core::Command::new(["true"]))
            .unwrap()
            .params(ParamsSchema::from_value(schema).unwrap())
    }

    fn call(args: &[&str]) -> Result<Params, String> {
        let task = task();
        let mut command = ParamsArgs::augment_args(Command::new("resize"));
        for flag in flags_of(task.params.as_value()).0 {
            command = command.arg(flag.arg());
        }
        let args = std::iter::once("resize").chain(args.iter().copied());
        let matches = command
            .try_get_matches_from(args)
            .map_err(|e| e.to_string())?;
        let plain =
            |failure: Failure| anstream::adapter::strip_str(&failure.to_string()).to_string();
        read(&task, &matches).map_err(plain)
    }

    #[test]
    fn flags_go_on_top_of_the_json() {
        let home = "token=HOME";
        let params = call(&[
            "--params",
            r#"{"width": 1, "nested": {"a": 1}}"#,
            "--width",
            "7",
            "--keep-ratio",
            "--tags",
            "a",
            "--tags",
            "b",
            "--secret-env",
            home,
        ])
        .unwrap();
        let mut shown = params.redacted();
        assert_eq!(shown["token"].take(), json!("[redacted]"));
        assert_eq!(
            shown,
            json!({"width": 7, "keep_ratio": true, "tags": ["a", "b"], "nested": {"a": 1}, "token": null})
        );
    }

    #[test]
    fn faults_name_the_flag() {
        let error = call(&["--secret-env", "token=HOME"]).unwrap_err();
        assert!(error.contains("--width is missing"), "{error}");
        let error = call(&["--width", "0"]).unwrap_err();
        assert!(
            error.contains("--width: ") && error.contains("minimum of 1"),
            "{error}"
        );
        assert!(error.contains("the secret token is missing"), "{error}");
        let error = call(&["--width", "wide"]).unwrap_err();
        assert!(
            error.contains("--width: \"wide\" is not an integer"),
            "{error}"
        );
    }

    #[test]
    fn a_secret_in_the_arguments_is_refused_and_not_repeated() {
        let error = call(&["--params", r#"{"width": 1, "token": "hunter2"}"#]).unwrap_err();
        assert!(
            error.contains("token is secret") && !error.contains("hunter2"),
            "{error}"
        );
        let error = call(&["--params", r#"{"width": "x", "token": "hunter2"}"#]).unwrap_err();
        assert!(
            error.contains("token is secret") && !error.contains("hunter2"),
            "{error}"
        );
        let error = call(&["--params", r#"{"token": hunter2"#]).unwrap_err();
        assert!(!error.contains("hunter2"), "{error}");
        let error = call(&["--width", "1", "--secret-env", "token=hunter2"]).unwrap_err();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
