//! From the shape of `fluid.toml` to tasks: what must hold beyond the shape.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use fluid_core::{
    Command, ExecutorKind, JsonText, ParamsSchema, Schedule, ScheduleError, Task, TaskName,
};
use serde_json::{Value, json};
use toml::Spanned;

use super::fault::Fault;
use super::form::{ScheduleForm, TaskForm};
use super::nearest::nearest;

/// The tasks, or every fault in them.
pub(super) fn tasks(
    forms: BTreeMap<Spanned<String>, TaskForm>,
    directory: &Path,
) -> Result<Vec<Task>, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut tasks = Vec::new();
    for (name, form) in forms {
        let mut check = Check {
            name: &name,
            directory,
            faults: &mut faults,
        };
        tasks.extend(check.task(form));
    }
    if faults.is_empty() {
        Ok(tasks)
    } else {
        Err(faults)
    }
}

struct Check<'a> {
    name: &'a Spanned<String>,
    directory: &'a Path,
    faults: &'a mut Vec<Fault>,
}

impl Check<'_> {
    fn fault(&mut self, span: Range<usize>, message: impl Into<String>) {
        self.faults.push(Fault::new(span, message));
    }

    fn fault_with_help(
        &mut self,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.faults.push(Fault::new(span, message).help(help));
    }

    /// The task; `None` or one that must not be used when there are faults.
    fn task(&mut self, form: TaskForm) -> Option<Task> {
        if let Err(error) = TaskName::parse(self.name.get_ref()) {
            self.fault(self.name.span(), error.to_string());
            return None;
        }
        let argv = self.argv(&form);
        let working = self.working_directory(form.directory.as_ref());
        let params = self.params(&form);
        let command = Command::new(argv.unwrap_or_default()).directory(working);
        let mut task = Task::command(self.name.get_ref(), command).ok()?;
        self.check_properties(&params, &form);
        self.check_policy(&form);
        if let Some(schedule) = &form.schedule {
            task.schedule = self.schedule(schedule);
            self.check_schedule_params(&params, schedule.span(), form.schedule_params.as_ref());
        } else if let Some(params) = &form.schedule_params {
            self.fault_with_help(
                params.span(),
                "schedule_params without a schedule would never be used",
                "add schedule = { every = \"5m\" }, or take schedule_params away",
            );
        }
        task.params = params;
        task.description = form.description.unwrap_or_default();
        task.cpu_bound = form.cpu_bound;
        task.executor = form.executor.map(Spanned::into_inner);
        task.missed = form.missed.unwrap_or_default();
        if let Some(params) = form.schedule_params {
            task.schedule_params = JsonText::from(params.into_inner());
        }
        task.queue = form.queue.unwrap_or_default();
        task.priority = form.priority.unwrap_or_default();
        if let Some(timeout) = form.timeout {
            task.timeout = timeout.into_inner().0;
        }
        task.retry = form.retry.map(Spanned::into_inner).unwrap_or_default();
        task.max_concurrency = form.max_concurrency.unwrap_or_default();
        task.concurrency_key = form.concurrency_key.map(Spanned::into_inner);
        task.rate_limit = form.rate_limit.map(Spanned::into_inner);
        task.unique = form.unique.and_then(|unique| unique.into_inner().0);
        task.tags = form.tags;
        task.env = form.env;
        task.k8s_config = form.k8s;
        Some(task)
    }

    fn argv(&mut self, form: &TaskForm) -> Option<Vec<String>> {
        match (&form.command, &form.shell) {
            (Some(_), Some(shell)) => {
                let message = format!("task {:?} has both command and shell", self.name.get_ref());
                self.fault_with_help(shell.span(), message, "keep one of them");
                None
            }
            (None, None) => {
                let message = format!("task {:?} has nothing to run", self.name.get_ref());
                self.fault_with_help(
                    self.name.span(),
                    message,
                    "add command = [\"program\", \"argument\"], or shell = \"a | b\"",
                );
                None
            }
            (Some(command), None) => {
                if command.get_ref().first().is_none_or(String::is_empty) {
                    self.fault(command.span(), "the command names no program");
                }
                Some(command.get_ref().clone())
            }
            (None, Some(shell)) => {
                if shell.get_ref().trim().is_empty() {
                    self.fault(shell.span(), "the shell command is empty");
                }
                let argv = ["/bin/sh", "-c", shell.get_ref()];
                Some(argv.map(str::to_owned).to_vec())
            }
        }
    }

    fn working_directory(&mut self, written: Option<&Spanned<String>>) -> std::path::PathBuf {
        let Some(written) = written else {
            return self.directory.to_owned();
        };
        let path = self.directory.join(written.get_ref());
        if !path.is_dir() {
            let message = format!("there is no directory {}", path.display());
            self.fault(written.span(), message);
        }
        path
    }

    fn params(&mut self, form: &TaskForm) -> ParamsSchema {
        let (mut schema, span) = match (&form.params, &form.params_file) {
            (Some(_), Some(file)) => {
                let help = "keep one of them";
                self.fault_with_help(file.span(), "both params and params_file", help);
                return ParamsSchema::any();
            }
            (Some(schema), None) => (schema.get_ref().clone(), schema.span()),
            (None, Some(file)) => match self.schema_file(file) {
                Some(schema) => (schema, file.span()),
                None => return ParamsSchema::any(),
            },
            (None, None) if form.secrets.is_empty() => return ParamsSchema::any(),
            (None, None) => (json!({"type": "object"}), self.name.span()),
        };
        let Some(object) = schema.as_object_mut() else {
            self.fault(span, "a JSON Schema must be a table");
            return ParamsSchema::any();
        };
        if !form.secrets.is_empty() {
            let properties = object.entry("properties").or_insert_with(|| json!({}));
            for secret in &form.secrets {
                let name = secret.get_ref().as_str();
                let known = form.params.is_some() || form.params_file.is_some();
                if known && properties.get(name).is_none() {
                    self.no_such_property(secret.span(), name, properties);
                } else if let Some(properties) = properties.as_object_mut() {
                    let property = properties.entry(name).or_insert_with(|| json!({}));
                    if let Some(property) = property.as_object_mut() {
                        property.insert("writeOnly".to_owned(), Value::Bool(true));
                    }
                }
            }
        }
        ParamsSchema::from_value(schema).unwrap_or_else(|error| {
            self.fault(span, error.to_string());
            ParamsSchema::any()
        })
    }

    fn schema_file(&mut self, file: &Spanned<String>) -> Option<Value> {
        let path = self.directory.join(file.get_ref());
        let read = std::fs::read_to_string(&path).map_err(|error| error.to_string());
        let schema = read.and_then(|text| {
            serde_json::from_str(&text).map_err(|error| format!("it is not JSON: {error}"))
        });
        schema
            .map_err(|reason| {
                let message = format!("the schema {} can't be used: {reason}", path.display());
                self.fault(file.span(), message);
            })
            .ok()
    }

    fn no_such_property(&mut self, span: Range<usize>, name: &str, properties: &Value) {
        let known: Vec<&str> = properties
            .as_object()
            .map(|object| object.keys().map(String::as_str).collect())
            .unwrap_or_default();
        let message = format!("the task has no parameter {name:?}");
        let help = match nearest(name, known.iter().copied()) {
            Some(meant) => format!("did you mean {meant:?}?"),
            None => format!("its parameters: {}", known.join(", ")),
        };
        self.fault_with_help(span, message, help);
    }

    /// Names of parameters must be in the schema where it lists them.
    fn check_properties(&mut self, params: &ParamsSchema, form: &TaskForm) {
        let Some(properties) = params.as_value().get("properties") else {
            return;
        };
        let unique = form.unique.as_ref().and_then(|unique| {
            let policy = unique.get_ref().0.as_ref()?;
            Some(policy.by.iter().map(|name| (unique.span(), name)))
        });
        let key = form
            .concurrency_key
            .iter()
            .map(|key| (key.span(), key.get_ref()));
        for (span, name) in unique.into_iter().flatten().chain(key) {
            if properties.get(name).is_none() {
                self.no_such_property(span, name, properties);
            }
        }
    }

    fn check_policy(&mut self, form: &TaskForm) {
        if let Some(executor) = &form.executor
            && *executor.get_ref() == ExecutorKind::Inline
        {
            let message = "a command can't run inline: only a Rust function can";
            self.fault_with_help(executor.span(), message, "use \"subprocess\" or \"k8s\"");
        }
        if let Some(retry) = &form.retry {
            let policy = retry.get_ref();
            if policy.attempts == 0 {
                self.fault(
                    retry.span(),
                    "attempts counts the first one too: at least 1",
                );
            }
            if !(policy.backoff.is_finite() && policy.backoff > 0.0) {
                self.fault(retry.span(), "backoff must be a number above 0");
            }
            if !(0.0..=1.0).contains(&policy.jitter) {
                self.fault(retry.span(), "the jitter of a retry is a share from 0 to 1");
            }
        }
        if let Some(rate) = &form.rate_limit
            && (rate.get_ref().limit == 0 || rate.get_ref().period.is_zero())
        {
            self.fault(
                rate.span(),
                "a rate limit needs a limit and a period above 0",
            );
        }
    }

    fn check_schedule_params(
        &mut self,
        schema: &ParamsSchema,
        schedule: Range<usize>,
        written: Option<&Spanned<Value>>,
    ) {
        let params = written.map_or_else(JsonText::empty_object, |params| {
            JsonText::from(params.get_ref().clone())
        });
        if let Err(error) = schema.check(params) {
            let span = written.map_or(schedule, Spanned::span);
            let message = format!("scheduled runs would be refused: {error}");
            let help = "give what the task needs in schedule_params = { … }";
            self.fault_with_help(span, message, help);
        }
    }

    fn schedule(&mut self, form: &Spanned<ScheduleForm>) -> Option<Schedule> {
        let whole = form.span();
        let form = form.get_ref();
        let jitter = form.jitter.as_ref();
        let built = match (&form.every, &form.cron) {
            (Some(_), Some(cron)) => {
                let help = "keep one of them";
                self.fault_with_help(cron.span(), "a schedule with both every and cron", help);
                return None;
            }
            (None, None) => {
                self.fault_with_help(
                    whole,
                    "a schedule that says neither every nor cron",
                    "such as { every = \"5m\" } or { cron = \"0 3 * * *\", timezone = \"Europe/Zurich\" }",
                );
                return None;
            }
            (Some(every), None) => {
                if let Some(zone) = &form.timezone {
                    self.fault(
                        zone.span(),
                        "an interval has no time zone: only cron has one",
                    );
                }
                let delay = form
                    .delay
                    .as_ref()
                    .map_or_else(Default::default, |d| d.get_ref().0);
                Schedule::every(every.get_ref().0)
                    .map(|schedule| schedule.with_delay(delay))
                    .map_err(|error| (every.span(), error))
            }
            (None, Some(cron)) => {
                if let Some(delay) = &form.delay {
                    self.fault(
                        delay.span(),
                        "cron says when already: delay goes with every",
                    );
                }
                let zone = form.timezone.as_ref();
                Schedule::cron(cron.get_ref(), zone.map_or("UTC", |zone| zone.get_ref())).map_err(
                    |error| match (&error, zone) {
                        (ScheduleError::TimeZone(_), Some(zone)) => (zone.span(), error),
                        _ => (cron.span(), error),
                    },
                )
            }
        };
        let jittered = built.and_then(|schedule| match jitter {
            Some(jitter) => schedule
                .with_jitter(jitter.get_ref().0)
                .map_err(|error| (jitter.span(), error)),
            None => Ok(schedule),
        });
        jittered
            .map_err(|(span, error)| self.fault(span, error.to_string()))
            .ok()
    }
}
