//! The thread that starts children and waits for them.

use std::io;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use rustix::process::Pid;
use tokio::sync::oneshot;

use super::group::Group;
use super::guard::Guard;
use super::tether::tether;

/// How long a child whose execution is over may stay to be waited for, and how often the thread looks whether one
/// that was killed has ended. Whoever waits for the execution goes first, and the guard is told of the next child
/// in one go.
const REAP_INTERVAL: Duration = Duration::from_millis(5);
/// How long the thread waits at its own end for killed children: more is up to the kernel.
const REAP_PATIENCE: Duration = Duration::from_secs(1);

/// One long-lived thread: starting a process blocks, the guard is told of one child at a time, and where there is
/// no guard the kernel ties a child's life to the *thread* that started it. It ends when the spawner and every child are dropped.
#[derive(Debug, Clone)]
pub(super) struct Spawner {
    // Unbounded, because it is filled from `drop`: at most two orders for each child, whose number the consumer
    // limits.
    orders: Sender<Order>,
}

enum Order {
    Spawn {
        command: Box<Command>,
        result_file: String,
        spawner: Spawner,
        reply: oneshot::Sender<io::Result<Leader>>,
    },
    Reap(Child),
}

impl Spawner {
    /// Starts the thread.
    pub(super) fn start(result_directory: PathBuf) -> io::Result<Self> {
        let (orders, received) = mpsc::channel();
        std::thread::Builder::new()
            .name("fluid-spawn".to_owned())
            .spawn(move || serve(&received, Guard::new(result_directory)))?;
        Ok(Self { orders })
    }

    /// Starts a child, at once: it has to lead a group of its own and has this result file. If the future is
    /// dropped the child is killed.
    pub(super) fn spawn(
        &self,
        command: Command,
        result_file: String,
    ) -> impl Future<Output = io::Result<Leader>> + use<> {
        let (reply, answer) = oneshot::channel();
        let order = Order::Spawn {
            command: Box::new(command),
            result_file,
            spawner: self.clone(),
            reply,
        };
        let sent = self.orders.send(order).is_ok();
        async move {
            let gone = || io::Error::other("the thread that starts processes is gone");
            if !sent {
                return Err(gone());
            }
            answer.await.map_err(|_| gone())?
        }
    }
}

/// A started child. Dropping it kills its group and has it waited for.
#[derive(Debug)]
pub(super) struct Leader {
    child: Option<Child>,
    group: Group,
    spawner: Spawner,
}

impl Leader {
    pub(super) fn group(&self) -> Group {
        self.group
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        self.group.kill();
        if let Some(child) = self.child.take() {
            let _ = self.spawner.orders.send(Order::Reap(child));
        }
    }
}

fn serve(orders: &Receiver<Order>, guard: Guard) {
    let mut thread = Thread {
        guard,
        dying: Vec::new(),
    };
    let mut look_at = Instant::now();
    loop {
        let order = if thread.dying.is_empty() {
            orders.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            orders.recv_timeout(look_at.saturating_duration_since(Instant::now()))
        };
        match order {
            Ok(Order::Spawn {
                command,
                result_file,
                spawner,
                reply,
            }) => thread.spawn(*command, &result_file, spawner, reply),
            Ok(Order::Reap(child)) => {
                if thread.dying.is_empty() {
                    look_at = Instant::now() + REAP_INTERVAL;
                }
                thread.dying.push(child);
            }
            Err(RecvTimeoutError::Timeout) => {
                thread.reap();
                look_at = Instant::now() + REAP_INTERVAL;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let deadline = Instant::now() + REAP_PATIENCE;
    thread.reap();
    while !thread.dying.is_empty() && Instant::now() < deadline {
        std::thread::sleep(REAP_INTERVAL);
        thread.reap();
    }
}

/// What the thread knows.
struct Thread {
    guard: Guard,
    /// Children whose executions are over, and which are not waited for yet.
    dying: Vec<Child>,
}

impl Thread {
    fn spawn(
        &mut self,
        mut command: Command,
        result_file: &str,
        spawner: Spawner,
        reply: oneshot::Sender<io::Result<Leader>>,
    ) {
        let ended = self.take_ended();
        if !self.guard.expects(result_file) {
            tether(&mut command);
        }
        match command.spawn() {
            Ok(child) => {
                let group = Group::led_by(Pid::from_child(&child));
                let leader = Leader {
                    child: Some(child),
                    group,
                    spawner,
                };
                // Before the guard, which expects it, learns of its group. When nobody waits for it any more the
                // leader is dropped, and so killed.
                drop(command);
                let _ = reply.send(Ok(leader));
                self.guard.joined(group.id());
            }
            Err(error) => {
                let _ = reply.send(Err(error));
                self.guard.failed_to_join();
            }
        }
        wait_for(ended);
    }

    /// Waits for the children that have ended.
    fn reap(&mut self) {
        let ended = self.take_ended();
        self.guard.tell_rest();
        wait_for(ended);
    }

    /// The children that have ended; the guard is to be told before they are waited for.
    fn take_ended(&mut self) -> Vec<Child> {
        let guard = &mut self.guard;
        let ended = self.dying.extract_if(.., |child| {
            let group = Group::led_by(Pid::from_child(child));
            let ended = !matches!(group.ending(), Ok(None));
            if ended {
                guard.left(group.id());
            }
            ended
        });
        ended.collect()
    }
}

fn wait_for(ended: Vec<Child>) {
    for mut child in ended {
        let _ = child.wait();
    }
}
