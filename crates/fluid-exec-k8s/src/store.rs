//! What the watches of one namespace have seen, by the name of the Job.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube::ResourceExt;
use tokio::sync::watch;

use crate::sight::{JobSight, PodSight, Sight};
use crate::view::{Job, Pod};

/// The label in which a pod carries its Job's name.
const JOB_NAME_LABEL: &str = "batch.kubernetes.io/job-name";

/// All of fluid's Jobs in a namespace, whoever started them.
#[derive(Debug, Default)]
pub(crate) struct Store(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    entries: HashMap<String, Entry>,
    /// Counts the lists of Jobs. What was last seen before a list began and is not in it is gone.
    job_lists: u64,
    pod_lists: u64,
}

#[derive(Debug, Default)]
struct Entry {
    sight: watch::Sender<Sight>,
    job_list: u64,
    /// By the pod's uid.
    pod_lists: HashMap<String, u64>,
}

impl Entry {
    fn is_needed(&self) -> bool {
        let sight = self.sight.borrow();
        self.sight.receiver_count() > 0
            || (sight.job.is_some() && !sight.gone)
            || sight.pods.iter().any(|pod| !pod.gone)
    }
}

/// An interest in one Job.
#[derive(Debug)]
pub(crate) struct Subscription {
    store: Arc<Store>,
    name: String,
    seen: Option<watch::Receiver<Sight>>,
}

impl Subscription {
    /// The latest sight, marked as seen.
    pub(crate) fn look(&mut self) -> Sight {
        let seen = self.seen.as_mut();
        seen.map_or_else(Sight::default, |seen| seen.borrow_and_update().clone())
    }

    /// Waits for another sight than the last that was looked at. Cancellation safe.
    pub(crate) async fn changed(&mut self) {
        let changed = match &mut self.seen {
            Some(seen) => seen.changed().await.is_ok(),
            None => false,
        };
        if !changed {
            std::future::pending::<()>().await;
        }
    }

    /// Another one for the same Job.
    pub(crate) fn again(&self) -> Self {
        self.store.subscribe(&self.name)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.seen = None;
        let mut seen = self.store.lock();
        if seen
            .entries
            .get(&self.name)
            .is_some_and(|entry| !entry.is_needed())
        {
            seen.entries.remove(&self.name);
        }
    }
}

impl Store {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows an interest in a Job, which need not be there yet.
    pub(crate) fn subscribe(self: &Arc<Self>, name: &str) -> Subscription {
        let mut seen = self.lock();
        let entry = seen.entries.entry(name.to_owned()).or_default();
        Subscription {
            seen: Some(entry.sight.subscribe()),
            store: self.clone(),
            name: name.to_owned(),
        }
    }

    /// A Job as the watch or the answer to a request shows it.
    pub(crate) fn job(&self, job: &Job) {
        let mut seen = self.lock();
        let list = seen.job_lists;
        let entry = seen.entries.entry(job.name_any()).or_default();
        entry.job_list = list;
        entry.sight.send_modify(|sight| {
            sight.job = Some(JobSight::of(job));
            sight.gone = false;
        });
    }

    /// A Job that an answer shows: the watch may know more already.
    pub(crate) fn job_if_new(&self, job: &Job) {
        let is_known = {
            let seen = self.lock();
            let entry = seen.entries.get(&job.name_any());
            entry.is_some_and(|entry| {
                let sight = entry.sight.borrow();
                sight.job.as_ref().map(|job| job.uid.as_str()) == job.uid().as_deref()
            })
        };
        if !is_known {
            self.job(job);
        }
    }

    pub(crate) fn job_gone(&self, job: &Job) {
        self.gone(&job.name_any(), job.uid().as_deref());
    }

    /// The Job with this uid is there no more.
    pub(crate) fn gone(&self, name: &str, uid: Option<&str>) {
        let mut seen = self.lock();
        let Some(entry) = seen.entries.get(name) else {
            return;
        };
        entry.sight.send_modify(|sight| {
            let known = sight.job.as_ref().map(|job| job.uid.as_str());
            if known == uid {
                sight.gone = true;
            }
        });
        if !entry.is_needed() {
            seen.entries.remove(name);
        }
    }

    pub(crate) fn jobs_listed_anew(&self) {
        self.lock().job_lists += 1;
    }

    pub(crate) fn jobs_listed(&self) {
        let missing: Vec<_> = {
            let seen = self.lock();
            let now = seen.job_lists;
            let old = seen
                .entries
                .iter()
                .filter(|(_, entry)| entry.job_list < now);
            old.filter_map(|(name, entry)| {
                let uid = entry.sight.borrow().job.as_ref()?.uid.clone();
                Some((name.clone(), uid))
            })
            .collect()
        };
        for (name, uid) in missing {
            self.gone(&name, Some(&uid));
        }
    }

    pub(crate) fn pod(&self, pod: &Pod) {
        let Some(job) = pod.labels().get(JOB_NAME_LABEL) else {
            return;
        };
        let seen_now = PodSight::of(pod);
        let mut seen = self.lock();
        let list = seen.pod_lists;
        let entry = seen.entries.entry(job.clone()).or_default();
        entry.pod_lists.insert(seen_now.uid.clone(), list);
        entry.sight.send_modify(|sight| {
            match sight.pods.iter_mut().find(|pod| pod.uid == seen_now.uid) {
                Some(known) => *known = seen_now,
                None => sight.pods.push(seen_now),
            }
        });
    }

    pub(crate) fn pod_gone(&self, pod: &Pod) {
        // Its last state tells how it ended.
        self.pod(pod);
        if let (Some(job), Some(uid)) = (pod.labels().get(JOB_NAME_LABEL), pod.uid()) {
            self.pod_is_gone(job, &uid);
        }
    }

    fn pod_is_gone(&self, job: &str, uid: &str) {
        let mut seen = self.lock();
        let Some(entry) = seen.entries.get_mut(job) else {
            return;
        };
        entry.pod_lists.remove(uid);
        entry.sight.send_modify(|sight| {
            if let Some(pod) = sight.pods.iter_mut().find(|pod| pod.uid == uid) {
                pod.gone = true;
            }
        });
        if !entry.is_needed() {
            seen.entries.remove(job);
        }
    }

    pub(crate) fn pods_listed_anew(&self) {
        self.lock().pod_lists += 1;
    }

    pub(crate) fn pods_listed(&self) {
        let missing: Vec<_> = {
            let seen = self.lock();
            let now = seen.pod_lists;
            let old = seen.entries.iter().flat_map(|(job, entry)| {
                let old = entry.pod_lists.iter().filter(|(_, list)| **list < now);
                old.map(|(uid, _)| (job.clone(), uid.clone()))
            });
            old.collect()
        };
        for (job, uid) in missing {
            self.pod_is_gone(&job, &uid);
        }
    }

    /// Why the Job with this uid could not get a pod.
    pub(crate) fn no_pod(&self, job: &str, uid: &str, why: &str) {
        if let Some(entry) = self.lock().entries.get(job) {
            entry
                .sight
                .send_modify(|sight| sight.no_pod = Some((uid.to_owned(), why.to_owned())));
        }
    }

    /// The Jobs that have not ended and that nobody here waits for, by name. One whose pods have all ended is about
    /// to end, or to get another.
    pub(crate) fn unattended(&self) -> Vec<(String, JobSight)> {
        let seen = self.lock();
        let idle = seen
            .entries
            .iter()
            .filter(|(_, entry)| entry.sight.receiver_count() == 0);
        idle.filter_map(|(name, entry)| {
            let sight = entry.sight.borrow();
            let job = sight.job.as_ref().filter(|_| !sight.gone)?;
            let is_ending = !sight.pods.is_empty() && sight.pods.iter().all(PodSight::is_over);
            (job.end.is_none() && !job.deleting && !is_ending).then(|| (name.clone(), job.clone()))
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn job(name: &str, uid: &str) -> Job {
        let job = json!({"metadata": {"name": name, "uid": uid}, "spec": {}});
        serde_json::from_value(job).unwrap()
    }

    fn pod(uid: &str, job: &str) -> Pod {
        let pod = json!({
            "metadata": {"name": uid, "uid": uid, "labels": {JOB_NAME_LABEL: job}},
            "spec": {"containers": [{"name": "main"}]}, "status": {"phase": "Running"},
        });
        serde_json::from_value(pod).unwrap()
    }

    #[test]
    fn what_a_new_list_does_not_hold_is_gone_unless_it_came_since() {
        let store = Arc::new(Store::default());
        let mut kept = store.subscribe("kept");
        let mut lost = store.subscribe("lost");
        let mut new = store.subscribe("new");
        for name in ["kept", "lost"] {
            store.job(&job(name, name));
            store.pod(&pod(&format!("{name}-pod"), name));
        }
        store.jobs_listed_anew();
        store.pods_listed_anew();
        store.job(&job("kept", "kept"));
        store.pod(&pod("kept-pod", "kept"));
        store.job_if_new(&job("new", "new"));
        store.jobs_listed();
        store.pods_listed();
        assert!(!kept.look().gone && !kept.look().pods[0].gone);
        assert!(lost.look().gone && lost.look().pods[0].gone);
        assert!(!new.look().gone);
    }

    #[test]
    fn nothing_is_kept_of_what_is_gone_and_of_interest_to_nobody() {
        let store = Arc::new(Store::default());
        let interest = store.subscribe("a");
        store.job(&job("a", "1"));
        store.pod(&pod("p", "a"));
        store.job(&job("b", "2"));
        store.job_gone(&job("b", "2"));
        store.job_gone(&job("a", "1"));
        store.pod_gone(&pod("p", "a"));
        assert_eq!(store.lock().entries.len(), 1);
        drop(interest);
        assert!(store.lock().entries.is_empty());
    }

    #[test]
    fn an_older_job_of_the_same_name_does_not_take_the_newer_one_away() {
        let store = Arc::new(Store::default());
        let mut interest = store.subscribe("a");
        store.job(&job("a", "2"));
        store.job_gone(&job("a", "1"));
        assert!(!interest.look().gone);
    }

    #[test]
    fn only_jobs_that_nobody_waits_for_are_unattended() {
        let store = Arc::new(Store::default());
        let _interest = store.subscribe("mine");
        store.job(&job("mine", "1"));
        store.job(&job("other", "2"));
        store.job(&job("ending", "3"));
        let mut ended = pod("p", "ending");
        ended.status.as_mut().unwrap().phase = "Succeeded".to_owned();
        store.pod(&ended);
        let names: Vec<_> = store
            .unattended()
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, ["other"]);
    }
}
