//! What runs by itself, and when.

use askama::Template;
use fluid_core::MissedTicks;
use fluid_scheduler::missed_ticks;

use super::Answer;
use super::page::{Asked, Page, Place};
use super::words::{When, count};
use crate::api::Problem;

/// A task with a schedule.
#[derive(Debug)]
struct Line {
    task: String,
    schedule: String,
    enabled: bool,
    next: Option<When>,
    last: Option<When>,
    missed: usize,
    /// What is done about missed ticks.
    rule: &'static str,
}

impl Line {
    fn missed(&self) -> String {
        let more = if self.missed >= MissedTicks::MAX_ALL {
            "+"
        } else {
            ""
        };
        format!("{}{more}", count(self.missed as u64))
    }
}

#[derive(Template)]
#[template(path = "schedules.html")]
struct Schedules {
    base: &'static str,
    may_change: bool,
    lines: Vec<Line>,
}

pub(super) async fn show(asked: Asked) -> Answer {
    let make = async {
        let broker = asked.site.manager.broker();
        let disabled = broker.settings().await?.disabled_tasks;
        let seen = broker.last_ticks().await?;
        let now = broker.now().await?;
        let tasks = asked.site.manager.tasks();
        let lines = tasks.filter_map(|task| {
            let schedule = task.schedule.as_ref()?;
            let enabled = !disabled.contains(&task.name);
            let last = seen.get(&task.name).copied();
            let next = schedule.next_after(now).filter(|_| enabled);
            Some(Line {
                task: task.name.to_string(),
                schedule: schedule.to_string(),
                enabled,
                next: next.map(|at| When::new(at, now)),
                last: last.map(|at| When::new(at, now)),
                missed: last.map_or(0, |last| missed_ticks(schedule, last, now)),
                rule: rule(task.missed),
            })
        });
        Ok::<_, Problem>(Schedules {
            base: asked.base,
            may_change: asked.caller.may_change,
            lines: lines.collect(),
        })
    };
    let live = asked.live(make).await?;
    asked.answer(&Page::new("Schedules", Place::Schedules).live(live))
}

/// What becomes of missed ticks.
pub(super) fn rule(missed: MissedTicks) -> &'static str {
    match missed {
        MissedTicks::Skip => "let go",
        MissedTicks::Once => "fired once",
        MissedTicks::All => "all fired",
    }
}
