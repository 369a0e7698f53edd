//! Follows what an attempt's pods print.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fluid_core::relay::{Relayed, read_relayed};
use fluid_core::{AttemptIo, LogLine, LogStream};
use jiff::Timestamp;
use kube::api::LogParams;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::cluster::Cluster;
use crate::fault::Fault;
use crate::lines::{Again, Lines, Position};
use crate::pace::Pace;
use crate::sight::{Main, PodSight};
use crate::store::Subscription;
use crate::tail::Tail;

/// How many logs are followed at once: each holds a connection. Others are read when one of them ends.
const FOLLOWED: usize = 512;
/// How long the log of a container that has ended may be silent before it is asked for anew.
const SILENCE: Duration = Duration::from_secs(5);
/// How long after the end of a log the news that its container has ended may take.
const NEWS: Duration = Duration::from_secs(2);
/// How long to leave a kubelet alone that could not be reached.
const UNREACHABLE: Duration = Duration::from_secs(30);
/// How long to do without logs that may not be read.
const REFUSED_PAUSE: Duration = Duration::from_secs(60);
/// How often a kubelet that can't be reached is asked for the log of a container that has ended.
const LAST_TRIES: u32 = 2;

/// What the logs of one executor share.
#[derive(Debug)]
pub(crate) struct Logs {
    turns: Semaphore,
    /// When reading was refused last.
    refused: Mutex<Option<Instant>>,
}

impl Default for Logs {
    fn default() -> Self {
        Self {
            turns: Semaphore::new(FOLLOWED),
            refused: Mutex::default(),
        }
    }
}

impl Logs {
    fn refused(&self) -> MutexGuard<'_, Option<Instant>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether reading was refused a short time ago, so that it need not be tried.
    fn are_refused(&self) -> bool {
        let refused = *self.refused();
        refused.is_some_and(|at| at.elapsed() < REFUSED_PAUSE)
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

/// How one reading of a log ended.
enum Read {
    /// All that the container printed has been passed on.
    All,
    /// The log broke off, or more may follow.
    More,
    /// It can't be read.
    Fault(Fault),
}

impl Output<'_> {
    /// Passes on what the attempt's pods print, one after the other, until all has been once `over` says that no
    /// other pod follows. Cancellation safe: what was not passed on is passed on by the next reader.
    pub(crate) async fn pass_on(&self, mut sights: Subscription, over: &CancellationToken) {
        let mut position = match self.io.stored() {
            Some(stored) => Position::after(stored.at, stored.lines),
            None => Position::default(),
        };
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
                self.pass_on_of(&pod.clone(), &mut sights, &mut position)
                    .await;
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

    async fn pass_on_of(&self, pod: &PodSight, sights: &mut Subscription, position: &mut Position) {
        if self.logs.are_refused() {
            return;
        }
        let Ok(_turn) = self.logs.turns.acquire().await else {
            return;
        };
        // Lines that another consumer passed on are not counted here.
        let mut lines = position.since().is_none().then_some(0);
        let mut pace = Pace::default();
        let mut tries = 0;
        let mut look_again = None;
        loop {
            let had_ended = ended(pod, sights).is_some();
            let read = self
                .read(pod, sights, position, &mut lines, !had_ended)
                .await;
            let wait = match read {
                Read::All => return,
                Read::More => {
                    if had_ended {
                        return;
                    }
                    tries = 0;
                    until_ended(pod, sights, NEWS).await;
                    if ended(pod, sights).is_some() {
                        if lines.is_some() && lines == reported(pod, sights) {
                            return;
                        }
                        continue;
                    }
                    pace.next(None)
                }
                Read::Fault(Fault::Refused(why)) => {
                    if look_again.is_none_or(|until| Instant::now() < until) {
                        look_again.get_or_insert(Instant::now() + SILENCE);
                        pace.next(None)
                    } else {
                        self.refused(&why);
                        return;
                    }
                }
                Read::Fault(Fault::Away { why, .. }) if is_kubelet(&why) => {
                    if had_ended {
                        tries += 1;
                        if tries >= LAST_TRIES {
                            self.say(format!("output may be missing: {why}")).await;
                            return;
                        }
                        pace.next(Some(Duration::from_secs(1)))
                    } else {
                        UNREACHABLE
                    }
                }
                Read::Fault(Fault::Away { after, .. }) => pace.next(after),
                Read::Fault(Fault::NotFound(why)) => {
                    self.say(format!("output may be missing: {why}")).await;
                    return;
                }
                // The container that has begun by our sight has not by the kubelet's.
                Read::Fault(fault) if had_ended => {
                    self.say(format!("output may be missing: {fault:?}")).await;
                    return;
                }
                Read::Fault(_) => pace.next(None),
            };
            if had_ended {
                sleep(wait).await;
            } else {
                until_ended(pod, sights, wait).await;
            }
        }
    }

    fn refused(&self, why: &str) {
        let before = self.logs.refused().replace(Instant::now());
        if before.is_none() {
            tracing::warn!(
                namespace = self.namespace,
                missing = "get pods/log",
                answer = why,
                "the output of Jobs is not known; `k8s rbac` prints the Role that is needed"
            );
        }
    }

    /// Reads the log once, from `position` on.
    async fn read(
        &self,
        pod: &PodSight,
        sights: &mut Subscription,
        position: &mut Position,
        lines: &mut Option<u64>,
        follow: bool,
    ) -> Read {
        let params = LogParams {
            container: Some(self.container.to_owned()),
            follow,
            timestamps: true,
            since_time: position.since(),
            ..LogParams::default()
        };
        let log = match self.cluster.log(self.namespace, &pod.name, &params).await {
            Ok(log) => log,
            Err(fault) => return Read::Fault(fault),
        };
        let mut log = Lines::new(log);
        let mut again = Again::new(*position);
        loop {
            let next = tokio::select! {
                biased;
                next = log.next() => next,
                // A connection that was lost without a word must not hold up the end.
                () = silence_after_end(pod, sights) => return Read::More,
            };
            let line = match next {
                Ok(Some(line)) => line,
                Ok(None) => return if follow { Read::More } else { Read::All },
                Err(error) => return Read::Fault(Fault::away(error.to_string())),
            };
            if again.is_known(&line) {
                continue;
            }
            position.passed(&line);
            if let Some(lines) = lines {
                *lines += 1;
            }
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
