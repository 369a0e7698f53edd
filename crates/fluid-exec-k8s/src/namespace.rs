//! The watches of one namespace: one of Jobs and one of pods, for all attempts in it.

use std::fmt::Debug;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures_util::StreamExt;
use kube::core::DynamicObject;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use crate::cluster::Cluster;
use crate::fault::{Fault, chain};
use crate::identity::RUN_LABEL;
use crate::measure::watch_restarts;
use crate::pace::{DISBELIEF, Doubt, Pace};
use crate::store::{Store, Subscription};
use crate::view::{Job, Pod, jobs, pods, resource};

/// How long refusals must go on before they are believed of what was granted before.
const LONG_DISBELIEF: Duration = Duration::from_secs(60);
/// How often to ask again for what is refused.
const REFUSED_PAUSE: Duration = Duration::from_secs(30);

/// After how many failures in a row an outage is told: one is nothing out of the ordinary.
const OUTAGE: u32 = 3;

/// Whether a watch can be relied on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Access {
    /// It has not been answered yet.
    Unknown,
    Granted,
    Refused(String),
}

/// A watch; it ends when this is dropped.
type Watching = AbortOnDropHandle<()>;

/// What is known about the right to make Secrets.
#[derive(Debug, Default)]
struct Secrets {
    granted: AtomicBool,
    told: AtomicBool,
}

/// One namespace that attempts run in.
pub(crate) struct Namespace {
    pub(crate) name: String,
    client: Client,
    pub(crate) store: Arc<Store>,
    jobs: watch::Receiver<Access>,
    pods: watch::Receiver<Access>,
    secrets: Secrets,
    /// The watch of events, as long as some Job gets no pod.
    events: Mutex<Weak<Watching>>,
    events_warned: Arc<AtomicBool>,
    _watches: [Watching; 2],
}

impl Namespace {
    /// Begins to watch; needs a runtime.
    pub(crate) fn watch(client: &Client, name: &str) -> Self {
        let store = Arc::new(Store::default());
        let (jobs_access, jobs_told) = watch::channel(Access::Unknown);
        let (pods_access, pods_told) = watch::channel(Access::Unknown);
        let ours = watcher::Config::default().labels(RUN_LABEL);
        let seen = store.clone();
        let watch_jobs = follow(
            Api::<Job>::namespaced_with(client.clone(), name, &jobs()),
            ours.clone(),
            Told::new("jobs", name, jobs_access),
            move |event| match event {
                Event::Apply(job) | Event::InitApply(job) => seen.job(&job),
                Event::Delete(job) => seen.job_gone(&job),
                Event::Init => seen.jobs_listed_anew(),
                Event::InitDone => seen.jobs_listed(),
            },
        );
        let seen = store.clone();
        let watch_pods = follow(
            Api::<Pod>::namespaced_with(client.clone(), name, &pods()),
            ours,
            Told::new("pods", name, pods_access),
            move |event| match event {
                Event::Apply(pod) | Event::InitApply(pod) => seen.pod(&pod),
                Event::Delete(pod) => seen.pod_gone(&pod),
                Event::Init => seen.pods_listed_anew(),
                Event::InitDone => seen.pods_listed(),
            },
        );
        Self {
            name: name.to_owned(),
            client: client.clone(),
            store,
            jobs: jobs_told,
            pods: pods_told,
            secrets: Secrets::default(),
            events: Mutex::default(),
            events_warned: Arc::default(),
            _watches: [
                AbortOnDropHandle::new(tokio::spawn(watch_jobs)),
                AbortOnDropHandle::new(tokio::spawn(watch_pods)),
            ],
        }
    }

    pub(crate) fn subscribe(&self, job: &str) -> Subscription {
        self.store.subscribe(job)
    }

    /// Waits until Jobs can be watched, or why they can't. Cancellation safe.
    pub(crate) async fn jobs(&self) -> Access {
        settled(self.jobs.clone()).await
    }

    /// Waits until pods can be watched, or why they can't. Cancellation safe.
    pub(crate) async fn pods(&self) -> Access {
        settled(self.pods.clone()).await
    }

    /// Whether Secrets may be made here. A refusal is asked for again the next time.
    pub(crate) async fn may_make_secrets(&self, cluster: &Cluster) -> Result<bool, Fault> {
        if self.secrets.granted.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let may = cluster
            .may(&self.name, "create", ("", "secrets"), None)
            .await?;
        self.secrets.granted.store(may, Ordering::Relaxed);
        if !may && !self.secrets.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                namespace = self.name,
                missing = "create secrets",
                "secret parameters, and those of more than 120 KiB, can't be passed on; `k8s rbac` prints the \
                 Role that is needed"
            );
        }
        Ok(may)
    }

    /// Watches for reasons why Jobs get no pod, for as long as somebody keeps the answer.
    pub(crate) fn reasons(&self) -> Arc<Watching> {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watching) = events.upgrade() {
            return watching;
        }
        let store = self.store.clone();
        let of_interest = watcher::Config::default()
            .fields("involvedObject.kind=Job,reason=FailedCreate")
            .page_size(100);
        let api = Api::<DynamicObject>::namespaced_with(
            self.client.clone(),
            &self.name,
            &resource("", "Event", "events"),
        );
        let (access, _) = watch::channel(Access::Unknown);
        let told = Told {
            warned: self.events_warned.clone(),
            ..Told::new("events", &self.name, access)
        };
        let work = follow(api, of_interest, told, move |event| {
            if let Event::Apply(event) | Event::InitApply(event) = event {
                let text = |path| event.data.pointer(path).and_then(Value::as_str);
                if let (Some(job), Some(uid), Some(why)) = (
                    text("/involvedObject/name"),
                    text("/involvedObject/uid"),
                    text("/message"),
                ) {
                    store.no_pod(job, uid, why);
                }
            }
        });
        let watching = Arc::new(AbortOnDropHandle::new(tokio::spawn(work)));
        *events = Arc::downgrade(&watching);
        watching
    }
}

impl Debug for Namespace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Namespace")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

async fn settled(mut access: watch::Receiver<Access>) -> Access {
    let settled = access.wait_for(|access| *access != Access::Unknown).await;
    match settled.map(|access| access.clone()) {
        Ok(access) => access,
        Err(_) => std::future::pending().await,
    }
}

/// Who is told whether a watch can be relied on.
struct Told {
    what: &'static str,
    namespace: String,
    access: watch::Sender<Access>,
    /// Somebody was told of a refusal already.
    warned: Arc<AtomicBool>,
}

impl Told {
    fn new(what: &'static str, namespace: &str, access: watch::Sender<Access>) -> Self {
        Self {
            warned: Arc::default(),
            what,
            namespace: namespace.to_owned(),
            access,
        }
    }

    fn granted(&self) {
        self.access.send_if_modified(|access| {
            let is_new = *access != Access::Granted;
            *access = Access::Granted;
            is_new
        });
    }

    fn refused(&self, why: &str) {
        self.access.send_if_modified(|access| {
            let is_new = !matches!(access, Access::Refused(_));
            *access = Access::Refused(why.to_owned());
            is_new
        });
        if !self.warned.swap(true, Ordering::Relaxed) {
            let lost = match self.what {
                "pods" => {
                    "output, results, and why a Job failed are not known: a Job that completes is a success without a result"
                }
                "events" => "why a Job gets no pod is not known",
                _ => "Jobs are read one by one, as often as `sleep` says",
            };
            tracing::warn!(
                namespace = self.namespace,
                missing = format!("list and watch {}", self.what),
                answer = why,
                "{lost}; `k8s rbac` prints the Role that is needed"
            );
        }
    }
}

/// Passes on what a watch sees, for ever: whatever goes wrong, it waits and goes on.
async fn follow<K>(
    api: Api<K>,
    config: watcher::Config,
    told: Told,
    mut see: impl FnMut(Event<K>) + Send,
) where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let mut events = pin!(watcher(api, config));
    let mut pace = Pace::default();
    let mut doubt = Doubt::default();
    let mut failures = 0;
    while let Some(event) = events.next().await {
        let error = match event {
            Ok(event) => {
                // A list only begins with this, so it says nothing about the server.
                if !matches!(event, Event::Init) {
                    pace.reset();
                    doubt.granted();
                    if failures >= OUTAGE {
                        tracing::info!(
                            namespace = told.namespace,
                            "{} can be watched again",
                            told.what
                        );
                    }
                    failures = 0;
                    told.granted();
                }
                see(event);
                continue;
            }
            Err(error) => error,
        };
        failures += 1;
        watch_restarts(told.what);
        let wait = match fault(error) {
            Fault::Refused(why) => {
                let disbelief = match *told.access.borrow() {
                    Access::Granted => LONG_DISBELIEF,
                    Access::Unknown | Access::Refused(_) => DISBELIEF,
                };
                if doubt.refused(disbelief).is_none() {
                    told.refused(&why);
                    REFUSED_PAUSE
                } else {
                    pace.next(None)
                }
            }
            Fault::Away { why, after } => {
                if failures == OUTAGE {
                    tracing::warn!(
                        namespace = told.namespace,
                        why,
                        "the Kubernetes API can't answer; what waits for {} goes on when it is back",
                        told.what
                    );
                }
                pace.next(after)
            }
            other => {
                tracing::debug!(
                    namespace = told.namespace,
                    ?other,
                    "the watch of {} broke",
                    told.what
                );
                pace.next(None)
            }
        };
        sleep(wait).await;
    }
}

fn fault(error: watcher::Error) -> Fault {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => error.into(),
        watcher::Error::WatchError(status) => kube::Error::Api(status).into(),
        other @ watcher::Error::NoResourceVersion => Fault::away(chain(&other)),
    }
}
