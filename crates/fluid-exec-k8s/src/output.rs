//! Follows what an attempt's pods print.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fluid_core::relay::{Relayed, read_relayed};
use fluid_core::{AttemptIo, LogLine, LogStream, Tail};
use jiff::Timestamp;
use kube::api::LogParams;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::cluster::Cluster;
use crate::fault::Fault;
use crate::lines::{Again, Line, Lines, Position};
use crate::pace::{DISBELIEF, Doubt, Pace};
use crate::sight::{Main, PodSight};
use crate::store::Subscription;

/// How many logs are followed at once: each holds a connection. Others are read when one of them ends.
const FOLLOWED: usize = 256;
/// How long the log of a container that has ended may be silent before it is asked for anew.
const SILENCE: Duration = Duration::from_secs(5);
/// How long after the end of a log the news that its container has ended may take.
const NEWS: Duration = Duration::from_secs(2);
/// How long to leave a kubelet alone that could not give a log, at first; each time twice as long.
const UNREADABLE: Duration = Duration::from_secs(30);
/// How long to wait between the last tries.
const LAST_PAUSE: Duration = Duration::from_secs(1);
/// How long to do without logs that may not be read.
const REFUSED_PAUSE: Duration = Duration::from_secs(60);
/// How often a log is asked for once more after its container has ended, when it can't be read.
const LAST_TRIES: u32 = 2;
/// How long lines that a container has printed may take into its log: a busy node writes them after the container's end.
const LAST_LINES: Duration = Duration::from_secs(10);

/// What the logs of one executor share.
#[derive(Debug)]
pub(crate) struct Logs {
    turns: Semaphore,
    right: Mutex<Right>,
    asked: AtomicBool,
    told: AtomicBool,
}

/// Whether logs may be read.
#[derive(Debug, Default)]
struct Right {
    doubt: Doubt,
    /// When it was refused last, if for too long to be an accident.
    refused: Option<Instant>,
}

impl Default for Logs {
    fn default() -> Self {
        Self {
            turns: Semaphore::new(FOLLOWED),
            right: Mutex::default(),
            asked: AtomicBool::default(),
            told: AtomicBool::default(),
        }
    }
}

impl Logs {
    fn right(&self) -> MutexGuard<'_, Right> {
        self.right.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn granted(&self) {
        *self.right() = Right::default();
    }

    /// How long the refusal that was just met is still doubted; `None` once it is believed. For all attempts together:
    /// none waits for what another knows.
    fn refused(&self) -> Option<Duration> {
        let mut right = self.right();
        let doubt = right.doubt.refused(DISBELIEF);
        if doubt.is_none() {
            right.refused = Some(Instant::now());
        }
        doubt
    }

    /// Whether a log need not be asked for. Once in a while somebody may find out whether that has changed.
    fn are_refused(&self) -> bool {
        let mut right = self.right();
        match right.refused {
            Some(at) if at.elapsed() < REFUSED_PAUSE => true,
            Some(_) => {
                right.refused = Some(Instant::now());
                false
            }
            None => false,
        }
    }

    /// Has the server say whether logs may be read, when the first attempt begins: a refusal is then no news any more
    /// when its pod ends.
    async fn ask_once(&self, cluster: &Cluster, namespace: &str) {
        if self.asked.swap(true, Ordering::Relaxed) {
            return;
        }
        if let Ok(false) = cluster.may(namespace, "get", ("", "pods/log"), None).await {
            self.refused();
        }
    }
}

/// One attempt's output.
pub(crate) struct Output<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) logs: &'a Logs,
    pub(crate) namespace: &'a str,
    pub(crate) container: &'a str,
    pub(crate) io: &'a AttemptIo,
    pub(crate) tail: &'a Mutex<Tail>,
}

/// How far the log of one container was read.
struct Reading {
    position: Position,
    /// How many of its lines were passed on; unknown when another consumer passed some on.
    lines: Option<u64>,
}

impl Reading {
    fn after(stored: Option<Position>) -> Self {
        Self {
            lines: stored.is_none().then_some(0),
            position: stored.unwrap_or_default(),
        }
    }

    fn passed(&mut self, line: &Line) {
        self.position.passed(line);
        if let Some(lines) = &mut self.lines {
            *lines += 1;
        }
    }

    /// How many lines are yet to come of those that the container's process says it printed.
    fn missing(&self, reported: Option<u64>) -> u64 {
        match (self.lines, reported) {
            (Some(lines), Some(reported)) => reported.saturating_sub(lines),
            _ => 0,
        }
    }

    /// Whether these are known to be all lines.
    fn is_exactly(&self, reported: Option<u64>) -> bool {
        self.lines.is_some() && self.lines == reported
    }
}

/// How one reading of a log ended.
enum Read {
    /// There was no more, but perhaps a line that is not whole yet.
    End(Option<Line>),
    /// It can't be read, or not to its end.
    Fault(Fault),
}

impl Output<'_> {
    /// Passes on what the attempt's pods print, one after the other, until all has been once `over` says that no
    /// other pod follows. Cancellation safe: what was not passed on is passed on by the next reader.
    pub(crate) async fn pass_on(&self, mut sights: Subscription, over: &CancellationToken) {
        self.logs.ask_once(self.cluster, self.namespace).await;
        let stored = self.io.stored();
        let mut stored = stored.map(|stored| Position::after(stored.at, stored.lines));
        let mut done = HashSet::new();
        loop {
            let sight = sights.look();
            let next = sight
                .pods
                .iter()
                .find(|pod| pod.main != Main::Waits && !done.contains(&pod.uid));
            if let Some(pod) = next {
                if let Some(why) = sight.pods.iter().find(|pod| done.contains(&pod.uid)) {
                    self.say_replaced(why).await;
                }
                // What an earlier consumer read of a pod that is gone is all there is.
                if stored.is_none() || !pod.gone {
                    let reading = Reading::after(stored.take());
                    self.pass_on_of(&pod.clone(), &mut sights, reading).await;
                }
                done.insert(pod.uid.clone());
                continue;
            }
            if over.is_cancelled() {
                return;
            }
            tokio::select! {
                () = sights.changed() => {}
                () = over.cancelled() => {}
            }
        }
    }

    async fn say_replaced(&self, pod: &PodSight) {
        let why = pod.disrupted.as_deref().unwrap_or("it is gone");
        self.say(format!("pod {} was replaced: {why}", pod.name))
            .await;
    }

    async fn say(&self, text: String) {
        let line = LogLine {
            at: Timestamp::now(),
            stream: LogStream::System,
            text,
        };
        self.io.output(line).await;
    }

    fn remember(&self, text: &str) {
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.push(text);
    }

    async fn pass_on_of(&self, pod: &PodSight, sights: &mut Subscription, mut reading: Reading) {
        let Ok(_turn) = self.logs.turns.acquire().await else {
            return;
        };
        let mut pace = Pace::default();
        let mut tries = 0;
        // And since when no more have come.
        let mut least_missing = (u64::MAX, Instant::now());
        while !self.logs.are_refused() {
            let had_ended = ended(pod, sights).is_some();
            let read = self.read(pod, sights, &mut reading, !had_ended).await;
            let wait = match read {
                Read::End(unfinished) if had_ended => {
                    let reported = reported(pod, sights);
                    let missing = reading.missing(reported);
                    if missing == 0 {
                        // Where the number of lines is known this is none of them.
                        if let (Some(line), None) = (unfinished, reported) {
                            self.pass_line(line).await;
                        }
                        return;
                    }
                    if missing < least_missing.0 {
                        least_missing = (missing, Instant::now());
                        pace.reset();
                    }
                    if least_missing.1.elapsed() > LAST_LINES {
                        if let Some(line) = unfinished {
                            self.pass_line(line).await;
                        }
                        self.say(format!("{missing} lines of output are missing"))
                            .await;
                        return;
                    }
                    pace.next(None)
                }
                Read::End(_) => {
                    until_ended(pod, sights, NEWS).await;
                    if ended(pod, sights).is_some() {
                        if reading.is_exactly(reported(pod, sights)) {
                            return;
                        }
                        continue;
                    }
                    pace.next(None)
                }
                Read::Fault(Fault::Refused(why)) => match self.logs.refused() {
                    Some(doubt) => pace.next(None).min(doubt),
                    None => return self.say_refused(&why),
                },
                Read::Fault(Fault::Away { why, after }) if !is_kubelet(&why) => pace.next(after),
                // A node that can't be reached, a pod that is gone, a container that its kubelet doesn't know.
                Read::Fault(fault) => {
                    tries += 1;
                    let is_hopeless = matches!(fault, Fault::NotFound(_));
                    if is_hopeless || (had_ended && tries >= LAST_TRIES) {
                        self.say(format!("output may be missing: {fault}")).await;
                        return;
                    }
                    if had_ended {
                        LAST_PAUSE
                    } else {
                        UNREADABLE * 2u32.saturating_pow((tries - 1).min(5))
                    }
                }
            };
            if had_ended {
                sleep(wait).await;
            } else {
                until_ended(pod, sights, wait).await;
            }
        }
    }

    fn say_refused(&self, why: &str) {
        if !self.logs.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                namespace = self.namespace,
                missing = "get pods/log",
                answer = why,
                "the output of Jobs is not known; `k8s rbac` prints the Role that is needed"
            );
        }
    }

    /// Reads the log once, from where the last reading ended.
    async fn read(
        &self,
        pod: &PodSight,
        sights: &mut Subscription,
        reading: &mut Reading,
        follow: bool,
    ) -> Read {
        let params = LogParams {
            container: Some(self.container.to_owned()),
            follow,
            timestamps: true,
            since_time: reading.position.since(),
            ..LogParams::default()
        };
        let log = match self.cluster.log(self.namespace, &pod.name, &params).await {
            Ok(log) => log,
            Err(fault) => return Read::Fault(fault),
        };
        self.logs.granted();
        let mut log = Lines::new(log);
        let mut again = Again::new(reading.position);
        loop {
            let next = tokio::select! {
                biased;
                next = log.next() => next,
                // A connection that was lost without a word must not hold up the end.
                () = silence_after_end(pod, sights) => {
                    return Read::Fault(Fault::away("the log fell silent"));
                }
            };
            let line = match next {
                Ok(Some(line)) => line,
                Ok(None) => return Read::End(log.unfinished()),
                Err(error) => return Read::Fault(Fault::away(error.to_string())),
            };
            if again.is_known(&line) {
                continue;
            }
            reading.passed(&line);
            self.pass_line(line).await;
        }
    }

    async fn pass_line(&self, line: Line) {
        match read_relayed(line.text) {
            Relayed::Progress(progress) => self.io.progress(progress),
            Relayed::Output(stream, text) => {
                let text = self.io.redactor().redact(text);
                self.remember(&text);
                let at = line.at;
                self.io.output(LogLine { at, stream, text }).await;
            }
        }
    }
}

/// Whether an error is about the way from the API server to a node and not about the API server.
fn is_kubelet(why: &str) -> bool {
    why.contains("containerLogs") || why.contains("dial tcp") || why.contains("No agent available")
}

/// The pod, if its container has ended.
fn ended(pod: &PodSight, sights: &mut Subscription) -> Option<PodSight> {
    let sight = sights.look();
    let now = sight.pods.into_iter().find(|now| now.uid == pod.uid)?;
    (now.is_over() || matches!(now.main, Main::Ended(_))).then_some(now)
}

/// How many lines the container's process says it printed.
fn reported(pod: &PodSight, sights: &mut Subscription) -> Option<u64> {
    Some(ended(pod, sights)?.report()?.lines)
}

/// Waits until the container has ended, at most this long.
async fn until_ended(pod: &PodSight, sights: &mut Subscription, at_most: Duration) {
    let wait = async {
        while ended(pod, sights).is_none() {
            sights.changed().await;
        }
    };
    let _ = timeout(at_most, wait).await;
}

async fn silence_after_end(pod: &PodSight, sights: &mut Subscription) {
    while ended(pod, sights).is_none() {
        sights.changed().await;
    }
    sleep(SILENCE).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_doubted_once_for_all_attempts_and_asked_about_again_by_one() {
        let logs = Logs::default();
        assert_eq!(logs.refused(), Some(DISBELIEF));
        tokio::time::advance(DISBELIEF / 2).await;
        assert!(!logs.are_refused());
        assert_eq!(logs.refused(), Some(DISBELIEF / 2));
        tokio::time::advance(DISBELIEF / 2).await;
        assert_eq!(logs.refused(), None);
        assert!(logs.are_refused());

        tokio::time::advance(REFUSED_PAUSE).await;
        assert!(!logs.are_refused(), "one asks again");
        assert!(logs.are_refused(), "and only one");
        assert_eq!(
            logs.refused(),
            None,
            "what was believed is not doubted anew"
        );

        tokio::time::advance(REFUSED_PAUSE).await;
        assert!(!logs.are_refused());
        logs.granted();
        assert!(!logs.are_refused());
        assert_eq!(logs.refused(), Some(DISBELIEF), "a new refusal is");
    }
}
