//! What a Job is called, and the labels by which it is found again.

use std::collections::BTreeMap;

use fluid_core::{TaskName, TaskRun};

/// Says whose Job it is: the run's id. Jobs and pods with this label are fluid's.
pub const RUN_LABEL: &str = "fluid-rs.github.io/run";
/// The attempt's number.
pub const ATTEMPT_LABEL: &str = "fluid-rs.github.io/attempt";
/// The task's name as far as a label can hold it; whole in the annotation of the same name.
pub const TASK_LABEL: &str = "fluid-rs.github.io/task";
/// Who may sweep the Job, see [`K8sExecutorBuilder::owner`](crate::K8sExecutorBuilder::owner).
pub const OWNER_LABEL: &str = "fluid-rs.github.io/owner";

/// The longest name of a Job: its pods carry it in a label.
const MAX_NAME: usize = 63;

/// The name of the Job for a run's attempt: the task's name for people, and the run's whole id, so that no two
/// attempts share it.
pub(crate) fn job_name(run: &TaskRun) -> String {
    let tail = format!("{}-{}", run.id.to_string().replace('-', ""), run.attempt);
    let room = MAX_NAME - "fluid--".len() - tail.len();
    let task = slug(run.task.as_str(), room);
    if task.is_empty() {
        format!("fluid-{tail}")
    } else {
        format!("fluid-{task}-{tail}")
    }
}

/// What of a name may stand in the name of an object (RFC 1123), at most `room` bytes.
fn slug(name: &str, room: usize) -> String {
    let mut slug = String::new();
    for letter in name.chars() {
        match letter.to_ascii_lowercase() {
            letter @ ('a'..='z' | '0'..='9') => slug.push(letter),
            _ if slug.is_empty() || slug.ends_with('-') => {}
            _ => slug.push('-'),
        }
    }
    slug.truncate(room);
    slug.trim_end_matches('-').to_owned()
}

/// The labels of an attempt's Job and pod.
pub(crate) fn labels(run: &TaskRun, owner: Option<&str>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::from([
        (
            "app.kubernetes.io/managed-by".to_owned(),
            "fluid".to_owned(),
        ),
        (RUN_LABEL.to_owned(), run.id.to_string()),
        (ATTEMPT_LABEL.to_owned(), run.attempt.to_string()),
        (TASK_LABEL.to_owned(), task_label(&run.task)),
    ]);
    if let Some(owner) = owner {
        labels.insert(OWNER_LABEL.to_owned(), owner.to_owned());
    }
    labels
}

fn task_label(task: &TaskName) -> String {
    slug(task.as_str(), MAX_NAME)
}

/// A label for an identity that is too long or has the wrong characters for one: its FNV-1a hash.
pub(crate) fn owner_label(owner: &str) -> String {
    let hash = owner.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use fluid_core::{NewRun, Params};
    use jiff::Timestamp;

    use super::*;

    fn run(task: &str, attempt: u32) -> TaskRun {
        let new = NewRun::new(TaskName::parse(task).unwrap(), Params::default());
        let mut run = TaskRun::enqueued(&new, Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        run.attempt = attempt;
        run
    }

    #[test]
    fn a_name_is_short_dns_safe_and_of_one_attempt_alone() {
        for task in [
            "resize",
            "Größe:a_b.c--d",
            "日本語",
            &"long_name_".repeat(10),
        ] {
            for attempt in [1, 12, u32::MAX] {
                let run = run(task, attempt);
                let name = job_name(&run);
                assert!(name.len() <= 63, "{name}");
                let safe = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
                assert!(name.chars().all(safe) && !name.ends_with('-'), "{name}");
                assert!(!name.contains("--"), "{name}");
                assert_eq!(name, job_name(&run));
                let mut next = run.clone();
                next.attempt = attempt.wrapping_sub(1);
                assert_ne!(name, job_name(&next));
            }
        }
        let named = run("resize", 1);
        let id = named.id.to_string().replace('-', "");
        assert_eq!(job_name(&named), format!("fluid-resize-{id}-1"));
    }

    #[test]
    fn labels_are_ones_that_the_api_server_takes() {
        let labels = labels(&run(&"Ünï_code.".repeat(11), 3), Some("0123"));
        for value in labels.values() {
            assert!(value.len() <= 63, "{value}");
            let safe = |c: char| c.is_ascii_alphanumeric() || c == '-';
            assert!(value.chars().all(safe), "{value}");
        }
        assert_eq!(labels[ATTEMPT_LABEL], "3");
        assert_eq!(owner_label("a").len(), 16);
        assert_ne!(owner_label("a"), owner_label("b"));
    }
}
