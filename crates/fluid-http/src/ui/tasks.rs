//! What there is to run.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::Query;
use fluid_core::{RunState, Task};
use serde::Deserialize;

use super::Answer;
use super::page::{Asked, Page, Place};
use super::words::{When, count};
use crate::api::Problem;

/// Which tasks.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    tag: String,
}

/// A task, told in a line.
#[derive(Debug)]
struct Line {
    name: String,
    about: String,
    tags: Vec<String>,
    enabled: bool,
    queued: String,
    running: String,
    failed: String,
    next: Option<When>,
}

#[derive(Template)]
#[template(path = "tasks.html")]
struct Tasks<'a> {
    base: &'static str,
    may_change: bool,
    lines: Vec<Line>,
    tag: &'a str,
}

/// The words to choose from.
#[derive(Template)]
#[template(path = "tags.html")]
struct Tags<'a> {
    /// Each, and whether it is the chosen one.
    tags: Vec<(&'a str, bool)>,
    all: bool,
}

pub(super) async fn show(asked: Asked, Query(wanted): Query<Wanted>) -> Answer {
    let manager = &asked.site.manager;
    let tag = wanted.tag.as_str();
    let make = async {
        let broker = manager.broker();
        let disabled = broker.settings().await?.disabled_tasks;
        let stats = asked.shared().stats(broker.as_ref()).await?;
        let now = broker.now().await?;
        let chosen = |task: &&std::sync::Arc<Task>| tag.is_empty() || task.tags.contains(tag);
        let lines = manager.tasks().filter(chosen).map(|task| {
            let states = stats.tasks.get(&task.name);
            let number = |state| {
                let number = states.and_then(|states| states.get(&state));
                count(number.copied().unwrap_or(0))
            };
            let enabled = !disabled.contains(&task.name);
            let next = task.schedule.as_ref().filter(|_| enabled);
            let next = next.and_then(|schedule| schedule.next_after(now));
            Line {
                name: task.name.to_string(),
                about: task
                    .description
                    .lines()
                    .next()
                    .unwrap_or_default()
                    .to_owned(),
                tags: task.tags.iter().cloned().collect(),
                enabled,
                queued: number(RunState::Queued),
                running: number(RunState::Running),
                failed: number(RunState::Failure),
                next: next.map(|at| When::new(at, now)),
            }
        });
        Ok::<_, Problem>(Tasks {
            base: asked.base,
            may_change: asked.caller.may_change,
            lines: lines.collect(),
            tag,
        })
    };
    let live = asked.live(make).await?;
    let known: BTreeSet<&String> = manager.tasks().flat_map(|task| &task.tags).collect();
    let tags = Tags {
        tags: known
            .into_iter()
            .map(|one| (one.as_str(), one == tag))
            .collect(),
        all: tag.is_empty(),
    };
    asked.answer(&Page::new("Tasks", Place::Tasks).before(&tags)?.live(live))
}
