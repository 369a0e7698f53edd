//! `/schedules`.

use axum::Json;
use axum::extract::State;
use fluid_core::{MissedTicks, TaskName};
use fluid_scheduler::missed_ticks;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::Problem;
use crate::site::Site;

/// When a task runs by itself.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ScheduleView {
    /// The task.
    task: TaskName,
    /// Its schedule in words.
    schedule: String,
    /// Whether it ticks: its task is enabled.
    enabled: bool,
    /// The next tick.
    next: Option<Timestamp>,
    /// The latest tick that a scheduler fired or saw; `null` before the first.
    last: Option<Timestamp>,
    /// How many ticks came since then more than a minute ago and were fired by nobody, counted up to 1000. A scheduler
    /// that starts deals with them as `when_missed` says.
    missed: usize,
    /// What is done about them: `skip`, `once` or `all`.
    when_missed: &'static str,
}

/// All schedules, by task.
#[utoipa::path(
    get, path = "/schedules", tag = "tasks",
    responses((status = 200, description = "The schedules", body = ref("#/components/schemas/ScheduleViewList"))),
)]
pub(super) async fn list(State(site): State<Site>) -> Result<Json<Vec<ScheduleView>>, Problem> {
    let broker = site.manager.broker();
    let disabled = broker.settings().await?.disabled_tasks;
    let seen = broker.last_ticks().await?;
    let now = broker.now().await?;
    let scheduled = site
        .manager
        .tasks()
        .filter_map(|task| Some((task, task.schedule.as_ref()?)));
    let views = scheduled.map(|(task, schedule)| {
        let enabled = !disabled.contains(&task.name);
        let last = seen.get(&task.name).copied();
        ScheduleView {
            task: task.name.clone(),
            schedule: schedule.to_string(),
            enabled,
            next: enabled.then(|| schedule.next_after(now)).flatten(),
            last,
            missed: last.map_or(0, |last| missed_ticks(schedule, last, now)),
            when_missed: match task.missed {
                MissedTicks::Skip => "skip",
                MissedTicks::Once => "once",
                MissedTicks::All => "all",
            },
        }
    });
    Ok(Json(views.collect()))
}
