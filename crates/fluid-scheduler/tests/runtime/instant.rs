//! A call of the memory broker happens at one instant, and calls follow one another by the clock, too.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use fluid_core::{
    Broker, ClaimRequest, Clock, ConsumerId, DEFAULT_LEASE, Finish, JsonText, LeaseRef, NewRun,
    Params, QueueName, TaskLimits,
};
use fluid_scheduler::MemoryBroker;
use futures_util::FutureExt;
use jiff::Timestamp;

use crate::stage::{DEADLINE, name};

/// How long another call is given to come in between.
const IN_BETWEEN: Duration = Duration::from_millis(300);

/// Says that it was looked at, and lets go who looked when told to.
#[derive(Debug)]
struct Slow {
    looked: Sender<()>,
    go: Mutex<Receiver<()>>,
}

impl Clock for Slow {
    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        let _ = self.looked.send(());
        let _ = self.go.lock().unwrap().recv_timeout(DEADLINE);
        now
    }
}

#[test]
fn a_run_starts_after_the_end_that_made_room_for_it() {
    let broker = MemoryBroker::new();
    let new = || NewRun::new(name("a"), Params::default());
    let mut one_at_once = TaskLimits::none(name("a"));
    one_at_once.max_concurrency = 1;
    let request = ClaimRequest {
        consumer: ConsumerId::parse("worker").unwrap(),
        queues: vec![QueueName::default()].into(),
        tasks: vec![one_at_once].into(),
        limit: 5,
        lease: DEFAULT_LEASE,
    };
    // The memory broker never waits for anything but its lock.
    let enqueued = broker.enqueue(vec![new(), new()]).now_or_never();
    assert_eq!(enqueued.unwrap().unwrap().len(), 2);
    let first = broker.claim(request.clone()).now_or_never().unwrap();
    let (first, token) = first.unwrap().runs.pop().unwrap();

    let (looked, has_looked) = channel();
    let (go, wait) = channel();
    let go_on = Mutex::new(wait);
    let slow = broker.handle_with_clock(Arc::new(Slow { looked, go: go_on }));
    let claim = thread::spawn(move || slow.claim(request).now_or_never().unwrap().unwrap().runs);
    has_looked.recv_timeout(DEADLINE).unwrap();
    let (ended, has_ended) = channel();
    let finish = thread::spawn({
        let broker = broker.clone();
        let lease = LeaseRef {
            run: first.id,
            token,
        };
        move || {
            let end = vec![(lease, Finish::Success(JsonText::null()))];
            let finished = broker.finish(end).now_or_never().unwrap().unwrap();
            let _ = ended.send(());
            finished
        }
    });
    let _ = has_ended.recv_timeout(IN_BETWEEN);
    go.send(()).unwrap();
    let second = claim.join().unwrap();
    finish.join().unwrap();

    let first = broker.get(first.id).now_or_never().unwrap().unwrap();
    let ended = first.unwrap().ended_at;
    assert!(ended.is_some());
    for (run, _) in second {
        assert!(run.started_at >= ended, "{:?} {ended:?}", run.started_at);
    }
}
