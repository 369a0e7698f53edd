//! Tasks are switched on and off, queues paused and resumed.

use axum::Form;
use axum::extract::Path;
use fluid_core::{QueueName, TaskName};
use serde::Deserialize;

use super::Answer;
use super::page::Asked;
use super::words::in_path;

/// What a switch is to be, and where it was pressed.
#[derive(Debug, Deserialize)]
pub(super) struct Wish {
    on: bool,
    #[serde(default)]
    from: From,
}

/// The page to go on with.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum From {
    #[default]
    Itself,
    Tasks,
    Schedules,
    Overview,
}

pub(super) async fn task(
    asked: Asked,
    Path(task): Path<TaskName>,
    Form(wish): Form<Wish>,
) -> Answer {
    asked.may_change()?;
    let broker = asked.site.manager.broker();
    broker.set_task_enabled(task.clone(), wish.on).await?;
    let page = match wish.from {
        From::Itself => format!("../{}", in_path(task.as_str())),
        From::Tasks => "../../tasks".to_owned(),
        From::Schedules => "../../schedules".to_owned(),
        From::Overview => "../../".to_owned(),
    };
    asked.changed(&page).await
}

/// A queue that is on is not paused.
pub(super) async fn queue(
    asked: Asked,
    Path(queue): Path<QueueName>,
    Form(wish): Form<Wish>,
) -> Answer {
    asked.may_change()?;
    let broker = asked.site.manager.broker();
    broker.set_queue_paused(queue, !wish.on).await?;
    asked.changed("../../").await
}
