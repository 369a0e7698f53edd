//! A run as a person names it: by its id or by the end of it.

use fluid_core::{Broker, RunFilter, RunId, TaskRun};

use crate::failure::Failure;

/// How many of the newest runs are looked at for a short name.
const LOOK_AT: usize = 50_000;
/// How many in one call.
const PAGE: usize = 1_000;
/// The shortest end of an id that names a run. Ids begin with the time, so their ends tell them apart.
const SHORTEST: usize = 6;
/// How much of an id is shown where there is little room.
const SHOWN: usize = 8;

/// The end of an id, for people.
pub(crate) fn short(run: RunId) -> String {
    let text = run.to_string();
    text[text.len() - SHOWN..].to_owned()
}

/// The run that `text` names.
///
/// # Errors
/// Not found, or a usage error when it names none or several.
pub(crate) async fn find(broker: &dyn Broker, text: &str) -> Result<TaskRun, Failure> {
    let missing = || {
        Failure::not_found(format!("there is no run {text}"))
            .because("it never was on this broker, or it was deleted after the retention")
            .help("see which there are with `runs list`")
    };
    if let Ok(run) = text.parse::<RunId>() {
        return broker.get(run).await?.ok_or_else(missing);
    }
    let end = text.trim_start_matches('…').to_lowercase();
    if end.len() < SHORTEST || !end.chars().all(|c| c.is_ascii_hexdigit() || c == '-') {
        return Err(
            Failure::usage(format!("{text:?} names no run")).help(format!(
                "give its id, or the last {SHORTEST} or more characters of it"
            )),
        );
    }
    let mut found: Option<TaskRun> = None;
    let mut before = None;
    for _ in 0..LOOK_AT / PAGE {
        let page = broker.list(RunFilter::default(), before, PAGE).await?;
        for run in page.runs {
            if !run.id.to_string().ends_with(&end) {
                continue;
            }
            if let Some(other) = found {
                return Err(Failure::usage(format!("{text} is the end of several ids"))
                    .because(format!("{} and {}", run.id, other.id))
                    .help("give more of it"));
            }
            found = Some(run);
        }
        match page.next {
            Some(next) => before = Some(next),
            None => break,
        }
    }
    found.ok_or_else(missing)
}
