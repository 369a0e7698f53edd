//! What a Job and its pods say about how the attempt ended, and why.

use fluid_core::child::ChildReport;
use fluid_core::relay::RelayReport;
use fluid_core::{ErrorKind, JsonText, Outcome, RunError, duration};

use crate::sight::{Ended, JobEnd, Main, Phase, PodSight, Sight, told};

/// How an attempt's Job ended.
#[derive(Debug, Clone)]
pub(crate) enum Verdict {
    /// A pod did all that was asked for.
    Succeeded(Option<PodSight>),
    /// It won't be tried in another pod.
    Failed {
        reason: String,
        message: String,
        pod: Option<PodSight>,
    },
    /// Somebody else deleted it.
    Deleted(Option<PodSight>),
}

/// The verdict on the Job with this uid, if there is one already.
pub(crate) fn judge(sight: &Sight, uid: &str) -> Option<Verdict> {
    let Some(job) = sight
        .job
        .as_ref()
        .filter(|job| job.uid == uid && !sight.gone)
    else {
        // Another Job, or none, where this one was. One that was never seen is yet to be.
        let was_seen = sight.job.is_some();
        return was_seen.then(|| Verdict::Deleted(sight.pods.last().cloned()));
    };
    let succeeded = sight.pods.iter().find(|pod| pod.phase == Phase::Succeeded);
    match &job.end {
        Some(JobEnd::Complete) => {
            Some(Verdict::Succeeded(succeeded.or(sight.pods.last()).cloned()))
        }
        Some(JobEnd::Failed { reason, message }) => Some(Verdict::Failed {
            reason: reason.clone(),
            message: message.clone(),
            pod: failed_pod(&sight.pods).cloned(),
        }),
        // The Job's own word follows a second later.
        None if job.single && !job.deleting => {
            succeeded.map(|pod| Verdict::Succeeded(Some(pod.clone())))
        }
        None => None,
    }
}

/// The pod that tells most about a failure.
fn failed_pod(pods: &[PodSight]) -> Option<&PodSight> {
    let failed = |pod: &&PodSight| pod.phase == Phase::Failed && pod.disrupted.is_none();
    pods.iter().rev().find(failed).or(pods.last())
}

impl Verdict {
    pub(crate) fn pod(&self) -> Option<&PodSight> {
        match self {
            Self::Succeeded(pod) | Self::Failed { pod, .. } | Self::Deleted(pod) => pod.as_ref(),
        }
    }

    /// The attempt's outcome; `tail` is the last of its output, and `limit` its time limit.
    pub(crate) fn outcome(&self, tail: &str, limit: Option<std::time::Duration>) -> Outcome {
        match self {
            Self::Succeeded(pod) => succeeded(pod.as_ref()),
            Self::Failed {
                reason,
                message,
                pod,
            } => {
                // A pod that ended well just before its Job's time was over.
                if let Some(pod) = pod
                    && let Some(result) = result(pod)
                {
                    return Outcome::Success(result);
                }
                Outcome::Failure(failed(reason, message, pod.as_ref(), tail, limit))
            }
            Self::Deleted(pod) => {
                if let Some(result) = pod.as_ref().and_then(result) {
                    return Outcome::Success(result);
                }
                let message = with_tail("the Job was deleted by somebody else", tail);
                Outcome::Failure(RunError::new(ErrorKind::Lost, message))
            }
        }
    }
}

/// The result that a pod's process reported.
pub(crate) fn result(pod: &PodSight) -> Option<JsonText> {
    match pod.report()?.end {
        Some(ChildReport::Result(result)) => Some(result),
        _ => None,
    }
}

fn succeeded(pod: Option<&PodSight>) -> Outcome {
    match pod.and_then(PodSight::report).and_then(|report| report.end) {
        Some(ChildReport::Result(result)) => Outcome::Success(result),
        Some(ChildReport::Error(error)) => Outcome::Failure(error),
        None => Outcome::Success(JsonText::null()),
    }
}

fn failed(
    reason: &str,
    message: &str,
    pod: Option<&PodSight>,
    tail: &str,
    limit: Option<std::time::Duration>,
) -> RunError {
    if reason == "DeadlineExceeded" {
        let why = pod.filter(|pod| pod.main == Main::Waits);
        let why = why.and_then(|pod| pod.waiting.as_deref());
        return timed_out(limit.unwrap_or_default(), why);
    }
    let Some(pod) = pod else {
        return of_job(reason, message);
    };
    let Main::Ended(ended) = &pod.main else {
        return match &pod.failure {
            Some(why) if why.starts_with("init container") => {
                RunError::new(ErrorKind::Start, why.clone())
            }
            Some(why) => RunError::new(ErrorKind::Lost, format!("pod {:?} {why}", pod.name)),
            None if pod.gone || pod.deleting => lost(pod, tail),
            None => of_job(reason, message),
        };
    };
    of_container(pod, ended, tail)
}

fn of_container(pod: &PodSight, ended: &Ended, tail: &str) -> RunError {
    if ended.reason == "OOMKilled" {
        let limit = pod.memory_limit.as_deref();
        let limit = limit.map_or_else(String::new, |limit| {
            format!(", its memory limit is {limit}")
        });
        return RunError::signal(9, with_tail(&format!("OOMKilled{limit}"), tail));
    }
    match pod.report() {
        Some(RelayReport {
            end: Some(ChildReport::Error(error)),
            ..
        }) => return error,
        // It was told to stop, and not by us.
        Some(RelayReport { end: None, .. }) => return lost(pod, tail),
        _ => {}
    }
    if let Some(why) = &pod.failure {
        return RunError::new(
            ErrorKind::Lost,
            with_tail(&format!("pod {:?} {why}", pod.name), tail),
        );
    }
    match ended.reason.as_str() {
        "StartError" | "ContainerCannotRun" => {
            let message = format!(
                "the container could not be started: {}",
                ended.message.trim()
            );
            return RunError::new(ErrorKind::Start, message);
        }
        "ContainerStatusUnknown" => return lost(pod, tail),
        _ => {}
    }
    match ended.exit_code {
        code @ 129..=192 if pod.deleting || pod.gone => {
            let _ = code;
            lost(pod, tail)
        }
        code @ 129..=192 => {
            let signal = code - 128;
            let what = match signal_name(signal) {
                Some(name) => format!("ended by {name} ({signal})"),
                None => format!("ended by signal {signal}"),
            };
            RunError::signal(signal, with_tail(&what, tail))
        }
        code => RunError::exit(code, with_tail(&format!("exit code {code}"), tail)),
    }
}

fn lost(pod: &PodSight, tail: &str) -> RunError {
    let message = match &pod.disrupted {
        Some(why) => format!("pod {:?} was taken away: {why}", pod.name),
        None => format!("pod {:?} was deleted by somebody else", pod.name),
    };
    RunError::new(ErrorKind::Lost, with_tail(&message, tail))
}

/// All that can be said without the pod. The Job's condition has the exit code in its words, because its failure
/// policy names exit codes: `Container main for pod … failed with exit code 3 matching FailJob rule …`.
fn of_job(reason: &str, message: &str) -> RunError {
    let code = message.split_once("exit code ").and_then(|(_, rest)| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    });
    match code {
        Some(code) => RunError::exit(code, format!("exit code {code} ({message})")),
        None => RunError::new(
            ErrorKind::Error,
            format!("the Job failed: {}", told(reason, message)),
        ),
    }
}

/// The time that an attempt spent waiting counts.
pub(crate) fn timed_out(limit: std::time::Duration, waiting: Option<&str>) -> RunError {
    let limit = duration::format(limit);
    let message = match waiting {
        Some(why) => format!("timed out after {limit} without having run: {why}"),
        None => format!("timed out after {limit}"),
    };
    RunError::new(ErrorKind::Timeout, message)
}

fn with_tail(what: &str, tail: &str) -> String {
    if tail.is_empty() {
        what.to_owned()
    } else {
        format!("{what}: {tail}")
    }
}

fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::sight::JobSight;

    fn job(end: Option<JobEnd>) -> JobSight {
        JobSight {
            uid: "u".to_owned(),
            run: String::new(),
            attempt: String::new(),
            owner: None,
            created: None,
            suspended: false,
            single: true,
            deleting: false,
            end,
        }
    }

    fn pod(phase: Phase, main: Main) -> PodSight {
        PodSight {
            uid: "p".to_owned(),
            name: "pod".to_owned(),
            phase,
            main,
            disrupted: None,
            deleting: false,
            gone: false,
            waiting: None,
            failure: None,
            memory_limit: Some("32Mi".to_owned()),
        }
    }

    fn ended(exit_code: i32, reason: &str, message: &str) -> Main {
        Main::Ended(Ended {
            exit_code,
            reason: reason.to_owned(),
            message: message.to_owned(),
        })
    }

    fn sight(end: Option<JobEnd>, pods: Vec<PodSight>) -> Sight {
        Sight {
            job: Some(job(end)),
            pods,
            ..Sight::default()
        }
    }

    fn sight_failed(end: JobEnd, pods: Vec<PodSight>) -> Sight {
        sight(Some(end), pods)
    }

    fn failed_job(reason: &str, message: &str) -> JobEnd {
        JobEnd::Failed {
            reason: reason.to_owned(),
            message: message.to_owned(),
        }
    }

    fn outcome(sight: &Sight) -> Outcome {
        let limit = Some(Duration::from_secs(60));
        judge(sight, "u").unwrap().outcome("last words", limit)
    }

    fn error(sight: &Sight) -> RunError {
        match outcome(sight) {
            Outcome::Failure(error) => error,
            other => panic!("expected a failure, seen {other:?}"),
        }
    }

    #[test]
    fn a_job_that_goes_on_has_no_verdict() {
        for pods in [
            vec![],
            vec![pod(Phase::Running, Main::Runs)],
            // Whether another pod follows is for the Job to say.
            vec![pod(Phase::Failed, ended(1, "Error", ""))],
        ] {
            assert!(judge(&sight(None, pods), "u").is_none());
        }
        assert!(judge(&Sight::default(), "u").is_none());
    }

    #[test]
    fn a_pod_that_succeeded_is_a_success_with_its_result() {
        let report = r#"{"lines":1,"end":{"result":{"answer":42}}}"#;
        let seen = sight(
            None,
            vec![pod(Phase::Succeeded, ended(0, "Completed", report))],
        );
        assert_eq!(
            outcome(&seen),
            Outcome::Success(json!({"answer": 42}).into())
        );
        let without = sight(Some(JobEnd::Complete), vec![]);
        assert_eq!(outcome(&without), Outcome::Success(JsonText::null()));
    }

    #[test]
    fn an_error_that_was_reported_is_the_error() {
        let report = r#"{"lines":1,"end":{"error":{"kind":"exit","message":"exit code 3: no space","exit_code":3}}}"#;
        let pods = vec![pod(Phase::Failed, ended(3, "Error", report))];
        let error = error(&sight_failed(failed_job("PodFailurePolicy", "x"), pods));
        assert_eq!(
            (error.exit_code, error.message.as_str()),
            (Some(3), "exit code 3: no space")
        );
    }

    #[test]
    fn every_way_to_fail_says_why() {
        let taken = |main| PodSight {
            disrupted: Some("EvictionByEvictionAPI".to_owned()),
            ..pod(Phase::Failed, main)
        };
        let evicted = PodSight {
            failure: Some("Evicted: low on memory".to_owned()),
            ..pod(Phase::Failed, Main::Waits)
        };
        let init = PodSight {
            failure: Some("init container \"a\" ended with exit code 2".to_owned()),
            ..pod(Phase::Failed, Main::Waits)
        };
        let deleted = PodSight {
            deleting: true,
            ..pod(Phase::Failed, ended(143, "Error", ""))
        };
        let waiting = PodSight {
            waiting: Some("unschedulable: 0/1 nodes".to_owned()),
            ..pod(Phase::Pending, Main::Waits)
        };
        let cases = [
            (
                pod(Phase::Failed, ended(137, "OOMKilled", "")),
                "X",
                ErrorKind::Signal,
                "OOMKilled, its memory limit is 32Mi: last words",
            ),
            (
                pod(Phase::Failed, ended(137, "Error", "")),
                "X",
                ErrorKind::Signal,
                "ended by SIGKILL (9): last words",
            ),
            (
                pod(Phase::Failed, ended(4, "Error", "")),
                "X",
                ErrorKind::Exit,
                "exit code 4: last words",
            ),
            (
                pod(Phase::Failed, ended(128, "StartError", "no such file")),
                "X",
                ErrorKind::Start,
                "the container could not be started: no such file",
            ),
            (
                evicted,
                "X",
                ErrorKind::Lost,
                "pod \"pod\" Evicted: low on memory",
            ),
            (
                init,
                "X",
                ErrorKind::Start,
                "init container \"a\" ended with exit code 2",
            ),
            (
                deleted,
                "X",
                ErrorKind::Lost,
                "pod \"pod\" was deleted by somebody else: last words",
            ),
            (
                taken(ended(130, "Error", r#"{"lines":0,"end":null}"#)),
                "X",
                ErrorKind::Lost,
                "pod \"pod\" was taken away: EvictionByEvictionAPI: last words",
            ),
            (
                waiting,
                "DeadlineExceeded",
                ErrorKind::Timeout,
                "timed out after 1m without having run: unschedulable: 0/1 nodes",
            ),
            (
                pod(Phase::Running, Main::Runs),
                "DeadlineExceeded",
                ErrorKind::Timeout,
                "timed out after 1m",
            ),
        ];
        for (pod, reason, kind, message) in cases {
            let error = error(&sight_failed(failed_job(reason, "words"), vec![pod]));
            assert_eq!((error.kind, error.message.as_str()), (kind, message));
        }
    }

    #[test]
    fn without_pods_the_job_itself_tells_the_exit_code() {
        let words = "Container main for pod workers/x failed with exit code 3 matching FailJob rule at index 1";
        let with_code = error(&sight_failed(failed_job("PodFailurePolicy", words), vec![]));
        assert_eq!(
            (with_code.kind, with_code.exit_code),
            (ErrorKind::Exit, Some(3))
        );
        let without = error(&sight_failed(
            failed_job("BackoffLimitExceeded", "Job has reached it"),
            vec![],
        ));
        assert_eq!(
            without.message,
            "the Job failed: BackoffLimitExceeded: Job has reached it"
        );
    }

    #[test]
    fn a_job_that_is_no_more_was_deleted_unless_its_pod_reported_a_result() {
        let mut gone = sight(None, vec![pod(Phase::Running, Main::Runs)]);
        gone.gone = true;
        assert_eq!(error(&gone).kind, ErrorKind::Lost);
        let report = r#"{"lines":1,"end":{"result":7}}"#;
        gone.pods = vec![pod(Phase::Succeeded, ended(0, "", report))];
        assert_eq!(outcome(&gone), Outcome::Success(json!(7).into()));
        assert!(matches!(judge(&gone, "another"), Some(Verdict::Deleted(_))));
    }
}
