//! Who takes runs.

use askama::Template;
use fluid_core::{ConsumerInfo, ExecutorKind};
use jiff::Timestamp;

use super::Answer;
use super::page::{Asked, Page, Place};
use super::words::When;
use crate::api::Problem;

/// A consumer, told in a card.
#[derive(Debug)]
pub(super) struct Consumer {
    pub(super) id: String,
    pub(super) host: String,
    pub(super) pid: u32,
    pub(super) version: String,
    pub(super) queues: Vec<String>,
    pub(super) running: usize,
    pub(super) slots: usize,
    pub(super) draining: bool,
    pub(super) started: When,
    pub(super) seen: When,
    /// Its tasks by how it carries them out.
    tasks: Vec<(ExecutorKind, Vec<String>)>,
}

impl Consumer {
    pub(super) fn of(info: &ConsumerInfo, now: Timestamp) -> Self {
        let by = |kind| {
            let tasks = info.tasks.iter().filter(|task| task.executor == kind);
            (
                kind,
                tasks.map(|task| task.name.to_string()).collect::<Vec<_>>(),
            )
        };
        let tasks = ExecutorKind::ALL.map(by).into_iter();
        Self {
            id: info.id.to_string(),
            host: info.host.clone(),
            pid: info.pid,
            version: info.version.clone(),
            queues: info.queues.iter().map(ToString::to_string).collect(),
            running: info.running,
            slots: info.max_concurrent_tasks,
            draining: info.draining,
            started: When::new(info.started_at, now),
            seen: When::new(info.seen_at, now),
            tasks: tasks.filter(|(_, tasks)| !tasks.is_empty()).collect(),
        }
    }
}

#[derive(Template)]
#[template(path = "consumers.html")]
struct Consumers {
    base: &'static str,
    consumers: Vec<Consumer>,
}

pub(super) async fn show(asked: Asked) -> Answer {
    let make = async {
        let broker = asked.site.manager.broker();
        let now = broker.now().await?;
        let known = broker.consumers().await?;
        Ok::<_, Problem>(Consumers {
            base: asked.base,
            consumers: known.iter().map(|info| Consumer::of(info, now)).collect(),
        })
    };
    let live = asked.live(make).await?;
    asked.answer(&Page::new("Consumers", Place::Consumers).live(live))
}
