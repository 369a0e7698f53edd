//! `ls`, `enable`, `disable`, `pause` and `resume`.

use anstyle::Style;
use fluid_core::Task;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::args::{LsArgs, QueueArgs, SwitchArgs};
use crate::exit::Exit;
use crate::failure::{Done, Failure};
use crate::output::{Table, relative, style};
use crate::session::Session;

pub(super) async fn list(session: &Session, args: &LsArgs) -> Done {
    session.require_file()?;
    let heavy = session.executor_choice()?.kind;
    let disabled = session
        .manager()
        .await?
        .broker()
        .settings()
        .await?
        .disabled_tasks;
    let now = Timestamp::now();
    let wanted = |task: &&Task| args.tag.iter().all(|tag| task.tags.contains(tag));
    let tasks = session.tasks.iter().filter(wanted);
    if session.output.is_json() {
        let all: Vec<Value> = tasks
            .map(|task| {
                json!({
                    "name": task.name,
                    "description": task.description,
                    "executor": task.executor_with(heavy),
                    "cpu_bound": task.cpu_bound,
                    "schedule": task.schedule.as_ref().map(ToString::to_string),
                    "next": task.schedule.as_ref().and_then(|schedule| schedule.next_after(now)),
                    "queue": task.queue,
                    "priority": task.priority,
                    "tags": task.tags,
                    "enabled": !disabled.contains(&task.name),
                    "params": task.params.as_value(),
                })
            })
            .collect();
        session.output.json(&all)?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new([
        "TASK",
        "EXECUTOR",
        "SCHEDULE",
        "NEXT",
        "QUEUE",
        "ENABLED",
        "DESCRIPTION",
    ]);
    for task in tasks {
        let enabled = !disabled.contains(&task.name);
        let schedule = task.schedule.as_ref().filter(|_| enabled);
        let next = schedule.and_then(|schedule| schedule.next_after(now));
        table.row([
            (task.name.to_string(), style::STRONG),
            (task.executor_with(heavy).to_string(), Style::new()),
            (schedule_of(task), Style::new()),
            (
                next.map_or_else(|| "-".to_owned(), |next| relative(next, now)),
                Style::new(),
            ),
            (task.queue.to_string(), Style::new()),
            if enabled {
                ("yes".to_owned(), style::GOOD)
            } else {
                ("no".to_owned(), style::WARN)
            },
            (
                task.description
                    .lines()
                    .next()
                    .unwrap_or_default()
                    .to_owned(),
                style::DIM,
            ),
        ]);
    }
    session.output.table(&table)?;
    Ok(Exit::Done)
}

pub(super) fn schedule_of(task: &Task) -> String {
    task.schedule
        .as_ref()
        .map_or_else(|| "-".to_owned(), ToString::to_string)
}

pub(super) async fn switch(session: &Session, args: &SwitchArgs, enabled: bool) -> Done {
    if !args.force && !session.declares(&args.task) {
        return Err(session.no_task(args.task.as_str()));
    }
    let manager = session.shared_manager().await?;
    manager
        .broker()
        .set_task_enabled(args.task.clone(), enabled)
        .await?;
    if session.output.is_json() {
        session
            .output
            .json(&json!({ "task": args.task, "enabled": enabled }))?;
    } else {
        let what = if enabled {
            "enabled"
        } else {
            "disabled: its runs wait and its schedule rests"
        };
        session
            .output
            .line(&format!("task {} is {what}", args.task))?;
    }
    Ok(Exit::Done)
}

pub(super) async fn pause(session: &Session, args: &QueueArgs, paused: bool) -> Done {
    let known = session.tasks.iter().any(|task| task.queue == args.queue);
    if !args.force && !known {
        return Err(
            Failure::not_found(format!("no task here uses queue {:?}", args.queue))
                .help("add --force if another program uses it"),
        );
    }
    let manager = session.shared_manager().await?;
    manager
        .broker()
        .set_queue_paused(args.queue.clone(), paused)
        .await?;
    if session.output.is_json() {
        session
            .output
            .json(&json!({ "queue": args.queue, "paused": paused }))?;
    } else {
        let what = if paused {
            "paused: its runs wait"
        } else {
            "open again"
        };
        session
            .output
            .line(&format!("queue {} is {what}", args.queue))?;
    }
    Ok(Exit::Done)
}
