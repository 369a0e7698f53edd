//! The first page: what needs a look, then what goes on.

mod attention;

use std::sync::Arc;

use askama::Template;
use fluid_core::{RunFilter, RunState, Stats};
use jiff::Timestamp;

use super::Answer;
use super::chart::Chart;
use super::consumers::Consumer;
use super::mark::Mark;
use super::page::{Asked, Page, Place};
use super::row::Row;
use super::words::count;
use crate::api::{Problem, QueueView};

use attention::Attention;

/// How many runs are shown of those that run or failed.
const SHOWN: usize = 8;

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    base: &'static str,
    may_change: bool,
    attention: Vec<Attention>,
    states: Vec<(Mark, String)>,
    queues: Vec<QueueView>,
    chart: Option<Chart>,
    consumers: Vec<Consumer>,
    running: Vec<Row>,
    failed: Vec<Row>,
}

pub(super) async fn show(asked: Asked) -> Answer {
    let live = asked.live(overview(&asked)).await?;
    asked.answer(&Page::new("Overview", Place::Overview).live(live))
}

async fn overview(asked: &Asked) -> Result<Overview, Problem> {
    let manager = &asked.site.manager;
    let broker = manager.broker();
    let now = broker.now().await?;
    let stats: Arc<Stats> = asked.shared().stats(broker.as_ref()).await?;
    let settings = broker.settings().await?;
    let consumers = broker.consumers().await?;
    let minutes = asked.shared().throughput(broker.as_ref(), now).await?;
    let in_states = |states: &[RunState]| RunFilter {
        states: states.to_vec(),
        ..RunFilter::default()
    };
    let running = broker
        .list(in_states(&[RunState::Running]), None, SHOWN)
        .await?;
    let failed = [RunState::Failure, RunState::Interrupted];
    let failed = broker.list(in_states(&failed), None, SHOWN).await?;
    let chart = minutes.as_deref().map(|minutes| Chart::of(minutes, now));
    let states = RunState::ALL.map(|state| (state.into(), count(stats.count(state))));
    Ok(Overview {
        base: asked.base,
        may_change: asked.caller.may_change,
        attention: attention::all(&stats, &settings, &consumers, chart.as_ref(), now),
        states: states.into(),
        queues: QueueView::all(manager, &stats, &settings, &consumers),
        chart,
        consumers: consumers
            .iter()
            .map(|info| Consumer::of(info, now))
            .collect(),
        running: Row::all(&running.runs, now),
        failed: Row::all(&failed.runs, now),
    })
}

/// How long something may wait before it is told.
fn waits_long(oldest: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    oldest.filter(|oldest| now.duration_since(*oldest).as_secs() >= 60)
}
