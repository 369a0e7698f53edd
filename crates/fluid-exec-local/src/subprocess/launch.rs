//! What to start for an attempt, and why it can't be started.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use fluid_core::child::{
    ATTEMPT_VARIABLE, ChildRun, PARAM_PREFIX, RESULT_VARIABLE, ROOT_ID_VARIABLE, RUN_ID_VARIABLE,
    RUN_VARIABLE, TASK_VARIABLE, param_variables,
};
use fluid_core::relay::{LIMIT_VARIABLE, PARAMS_PATH_VARIABLE, PARAMS_VARIABLE};
use fluid_core::{ErrorKind, RunError, Task, TaskBody, TaskRun};

/// The program that plays a task function's part.
#[derive(Debug, Clone, Default)]
pub(super) struct FunctionProgram {
    /// The consumer's own binary when `None`.
    pub(super) program: Option<PathBuf>,
    /// Arguments before `exec`.
    pub(super) args: Vec<OsString>,
}

/// What can be started, with what an error about it needs to say.
pub(super) struct Launch {
    pub(super) command: Command,
    program: OsString,
    directory: Option<PathBuf>,
}

impl Launch {
    /// The process for an attempt and its environment, without pipes.
    pub(super) fn of(
        task: &Task,
        run: &TaskRun,
        function: &FunctionProgram,
        env: &[(String, String)],
        result: &Path,
    ) -> Result<Self, RunError> {
        let mut launch = match &task.body {
            TaskBody::Function(_) => Self::function(run, function)?,
            TaskBody::Command(command) => Self::command(command)?,
        };
        for inherited in inherited_params() {
            launch.command.env_remove(inherited);
        }
        for own in [PARAMS_VARIABLE, PARAMS_PATH_VARIABLE, LIMIT_VARIABLE] {
            launch.command.env_remove(own);
        }
        launch
            .command
            .envs(env.iter().map(|(name, value)| (name, value)))
            .envs(&task.env)
            .env(RUN_ID_VARIABLE, run.id.to_string())
            .env(TASK_VARIABLE, run.task.as_str())
            .env(ATTEMPT_VARIABLE, run.attempt.to_string())
            .env(ROOT_ID_VARIABLE, run.root.unwrap_or(run.id).to_string())
            .env(RESULT_VARIABLE, result)
            .process_group(0);
        match &task.body {
            TaskBody::Function(_) => {
                let record = serde_json::to_string(&ChildRun::from(run))
                    .map_err(|error| start_error(format!("can't pass the run on: {error}")))?;
                launch.command.env(RUN_VARIABLE, record);
            }
            TaskBody::Command(_) => {
                launch
                    .command
                    .env_remove(RUN_VARIABLE)
                    .envs(param_variables(&run.params));
            }
        }
        Ok(launch)
    }

    fn function(run: &TaskRun, function: &FunctionProgram) -> Result<Self, RunError> {
        let (program, mut command) = match &function.program {
            Some(program) => (program.clone(), Command::new(program)),
            None => own_binary()?,
        };
        command
            .args(&function.args)
            .args(["exec", run.task.as_str(), "--run-id"])
            .arg(run.id.to_string());
        Ok(Self {
            command,
            program: program.into(),
            directory: None,
        })
    }

    fn command(declared: &fluid_core::Command) -> Result<Self, RunError> {
        let Some((program, args)) = declared.argv.split_first() else {
            return Err(start_error("the command has no program"));
        };
        let mut command = Command::new(program);
        command.args(args);
        if let Some(directory) = &declared.directory {
            command.current_dir(directory);
        }
        Ok(Self {
            command,
            program: program.into(),
            directory: declared.directory.clone(),
        })
    }

    /// Takes the command out, and leaves what says why it could not be started.
    pub(super) fn into_parts(self) -> (Command, impl FnOnce(&io::Error) -> RunError + Send) {
        let (program, directory) = (self.program, self.directory);
        (self.command, move |error: &io::Error| {
            start_error(format!(
                "can't start {program:?}: {}",
                cause(error, &program, directory.as_deref())
            ))
        })
    }
}

/// The parameters of the run that this process itself carries out, which are no business of its children.
fn inherited_params() -> impl Iterator<Item = OsString> {
    let names = std::env::vars_os().map(|(name, _)| name);
    names.filter(|name| name.as_encoded_bytes().starts_with(PARAM_PREFIX.as_bytes()))
}

/// This process's binary, also when its file was replaced or removed since.
fn own_binary() -> Result<(PathBuf, Command), RunError> {
    let path = std::env::current_exe()
        .map_err(|error| start_error(format!("can't tell which program this is: {error}")))?;
    let image = Path::new("/proc/self/exe");
    let command = if !path.exists() && image.exists() {
        let mut command = Command::new(image);
        command.arg0(&path);
        command
    } else {
        Command::new(&path)
    };
    Ok((path, command))
}

fn cause(error: &io::Error, program: &OsStr, directory: Option<&Path>) -> String {
    if let Some(directory) = directory
        && !directory.is_dir()
    {
        return format!("there is no directory {directory:?}");
    }
    let place = directory.unwrap_or(Path::new("")).join(program);
    match error.kind() {
        io::ErrorKind::NotFound if is_path(program) && place.exists() => {
            "the interpreter that it names does not exist".to_owned()
        }
        io::ErrorKind::NotFound if is_path(program) => "there is no such file".to_owned(),
        io::ErrorKind::NotFound => "there is no such program in PATH".to_owned(),
        io::ErrorKind::PermissionDenied if place.is_dir() => "it is a directory".to_owned(),
        io::ErrorKind::PermissionDenied => "it may not be executed (permission denied)".to_owned(),
        _ => error.to_string(),
    }
}

fn is_path(program: &OsStr) -> bool {
    program.as_encoded_bytes().contains(&b'/')
}

pub(super) fn start_error(message: impl Into<String>) -> RunError {
    RunError::new(ErrorKind::Start, message)
}
