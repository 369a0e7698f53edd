//! What whoever is on call should look at first.

use fluid_core::{ConsumerInfo, RunState, Settings, Stats};
use jiff::Timestamp;

use super::waits_long;
use crate::ui::chart::Chart;
use crate::ui::words::{between, counted, span};

/// Something that needs a look, and where to look.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Attention {
    pub(super) text: String,
    /// From the dashboard's first page.
    pub(super) link: String,
    pub(super) grave: bool,
}

fn encode(name: &str) -> String {
    crate::ui::words::in_path(name)
}

/// Most urgent first.
pub(super) fn all(
    stats: &Stats,
    settings: &Settings,
    consumers: &[ConsumerInfo],
    chart: Option<&Chart>,
    now: Timestamp,
) -> Vec<Attention> {
    let mut all = Vec::new();
    let mut tell = |grave, text: String, link: &str| {
        let link = link.to_owned();
        all.push(Attention { text, link, grave });
    };
    if consumers.iter().all(|consumer| consumer.draining) {
        let queued = counted(stats.count(RunState::Queued), "run is", "runs are");
        let text = format!("No consumer takes runs, and {queued} queued");
        tell(true, text, "consumers");
    }
    let failed = chart.map_or(0, |chart| chart.failed);
    if failed > 0 {
        let text = counted(failed, "run", "runs") + " failed in the last hour";
        tell(true, text, "runs?state=failure&state=interrupted");
    }
    for (queue, states) in &stats.queues {
        let queued = states.get(&RunState::Queued).copied().unwrap_or(0);
        let link = format!("runs?state=queued&queue={}", encode(queue.as_str()));
        let taken = consumers
            .iter()
            .any(|consumer| consumer.queues.contains(queue));
        if queued > 0 && !taken && !consumers.is_empty() {
            let waiting = counted(queued, "run waits", "runs wait");
            let text = format!("No consumer takes from queue {queue}, where {waiting}");
            tell(true, text, &link);
        }
    }
    if let Some(oldest) = waits_long(stats.oldest_queued, now) {
        let text = format!(
            "The oldest queued run has waited {}",
            span(between(oldest, now))
        );
        tell(false, text, "runs?state=queued");
    }
    for queue in &settings.paused_queues {
        let states = stats.queues.get(queue);
        let queued = states.and_then(|states| states.get(&RunState::Queued));
        let queued = counted(queued.copied().unwrap_or(0), "run waits", "runs wait");
        let link = format!("runs?state=queued&queue={}", encode(queue.as_str()));
        tell(
            false,
            format!("Queue {queue} is paused: {queued} in it"),
            &link,
        );
    }
    for task in &settings.disabled_tasks {
        let link = format!("tasks/{}", encode(task.as_str()));
        tell(false, format!("Task {task} is disabled"), &link);
    }
    all
}
