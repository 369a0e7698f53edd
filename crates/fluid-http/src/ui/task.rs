//! A task: what it is, a form to run it, and its last runs.

use askama::Template;
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use fluid_core::{
    Due, JsonText, ParamsError, Priority, QueueRequest, RunFilter, Task, TaskName, duration,
};
use fluid_scheduler::QueueError;
use serde::Deserialize;

use super::Answer;
use super::form::{Form, Submitted};
use super::page::{Asked, Page, Place};
use super::row::Row;
use super::schedules::rule;
use super::words::When;
use crate::api::Problem;

/// How many of its runs are shown.
const RUNS: usize = 10;

#[derive(Template)]
#[template(path = "task.html")]
struct Details {
    base: &'static str,
    may_change: bool,
    name: String,
    enabled: bool,
    next: Option<When>,
    last: Option<When>,
    rows: Vec<Row>,
}

/// What was declared.
#[derive(Template)]
#[template(path = "task_about.html")]
struct About {
    name: String,
    text: String,
    tags: Vec<String>,
    facts: Vec<(&'static str, String)>,
}

#[derive(Template)]
#[template(path = "task_form.html")]
struct Run<'a> {
    name: &'a str,
    form: Form,
    priority: Priority,
    may_change: bool,
}

fn find(asked: &Asked, name: &TaskName) -> Result<std::sync::Arc<Task>, Problem> {
    let found = asked.site.manager.task(name).cloned();
    found.ok_or_else(|| Problem::no_task(name.as_str()))
}

/// How the form is to look.
#[derive(Debug, Deserialize)]
pub(super) struct Looks {
    /// One field for JSON.
    json: Option<String>,
}

pub(super) async fn show(
    asked: Asked,
    Path(name): Path<TaskName>,
    Query(looks): Query<Looks>,
) -> Answer {
    let task = find(&asked, &name)?;
    let mut form = Form::new(&task);
    if looks.json.is_some() {
        form = form.into_json();
    }
    page(&asked, &task, StatusCode::OK, form).await
}

async fn page(asked: &Asked, task: &Task, status: StatusCode, form: Form) -> Answer {
    let live = asked.live(details(asked, task)).await?;
    let about = About {
        name: task.name.to_string(),
        text: task.description.clone(),
        tags: task.tags.iter().cloned().collect(),
        facts: facts(task),
    };
    let run = Run {
        name: task.name.as_str(),
        form,
        priority: task.priority,
        may_change: asked.caller.may_change,
    };
    let page = Page::new(task.name.as_str(), Place::Tasks).before(&about)?;
    asked.answer_with(status, &page.live(live).after(&run)?)
}

async fn details(asked: &Asked, task: &Task) -> Result<Details, Problem> {
    let broker = asked.site.manager.broker();
    let now = broker.now().await?;
    let enabled = !broker.settings().await?.disabled_tasks.contains(&task.name);
    let filter = RunFilter {
        tasks: vec![task.name.clone()],
        ..RunFilter::default()
    };
    let runs = broker.list(filter, None, RUNS).await?.runs;
    let (mut next, mut last) = (None, None);
    if let Some(schedule) = &task.schedule {
        next = schedule.next_after(now).filter(|_| enabled);
        last = broker.last_ticks().await?.get(&task.name).copied();
    }
    Ok(Details {
        base: asked.base,
        may_change: asked.caller.may_change,
        name: task.name.to_string(),
        enabled,
        next: next.map(|at| When::new(at, now)),
        last: last.map(|at| When::new(at, now)),
        rows: Row::all(&runs, now),
    })
}

fn facts(task: &Task) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("Queue", task.queue.to_string()),
        ("Priority", task.priority.to_string()),
    ];
    let timeout = task.timeout.map_or("none".to_owned(), duration::format);
    facts.push(("Timeout of an attempt", timeout));
    if task.retry.attempts > 1 {
        let delay = duration::format(task.retry.delay);
        facts.push((
            "Attempts",
            format!("at most {}, the second after {delay}", task.retry.attempts),
        ));
    }
    if task.max_concurrency > 0 {
        let by = task
            .concurrency_key
            .as_ref()
            .map(|key| format!(" for each {key}"));
        facts.push((
            "At once",
            format!("at most {}{}", task.max_concurrency, by.unwrap_or_default()),
        ));
    }
    if let Some(rate) = task.rate_limit {
        facts.push((
            "Starts",
            format!(
                "at most {} in {}",
                rate.limit,
                duration::format(rate.period)
            ),
        ));
    }
    if let Some(executor) = task.executor {
        facts.push(("Executor", executor.to_string()));
    } else if task.cpu_bound {
        facts.push(("Executor", "outside the consumer".to_owned()));
    }
    if let Some(schedule) = &task.schedule {
        facts.push(("Schedule", schedule.to_string()));
        facts.push(("Missed ticks", rule(task.missed).to_owned()));
    }
    facts
}

/// Enqueues a run, or shows the form again with what is wrong beside each field.
pub(super) async fn run(asked: Asked, Path(name): Path<TaskName>, submitted: Submitted) -> Answer {
    asked.may_change()?;
    let task = find(&asked, &name)?;
    let mut form = Form::filled(&task, &submitted);
    if let Some(request) = request(&task, &mut form) {
        match asked.site.manager.queue_request(request).await {
            Ok(enqueued) => return asked.changed(&format!("../runs/{}", enqueued.run())).await,
            Err(QueueError::Params { source, .. }) => match source {
                ParamsError::Invalid { faults } => form.blame(&faults),
                other => form.blame(&[other.to_string()]),
            },
            Err(QueueError::Broker(error)) => return Err(error.into()),
            Err(other) => form.blame(&[other.to_string()]),
        }
    }
    page(&asked, &task, StatusCode::UNPROCESSABLE_ENTITY, form).await
}

fn request(task: &Task, form: &mut Form) -> Option<QueueRequest> {
    let params = form.value()?;
    let mut request = QueueRequest::new(task.name.clone(), JsonText::from(params));
    request.priority = form.priority.parse().ok();
    if !form.delay.trim().is_empty() {
        match duration::parse(&form.delay) {
            Ok(delay) => request.due = Due::After(delay),
            Err(error) => {
                form.delay_fault = Some(error);
                return None;
            }
        }
    }
    Some(request)
}
