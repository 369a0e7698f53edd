//! The thread that starts children and waits for them.

use std::io;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use rustix::process::Pid;
use tokio::sync::oneshot;

use super::group::Group;
use super::guard::Guard;
use super::tether::tether;

/// How often the thread looks whether a killed child has ended.
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

    /// Starts a child, which has to lead a group of its own and has this result file. If this is dropped the child
    /// is killed.
    pub(super) async fn spawn(&self, command: Command, result_file: String) -> io::Result<Leader> {
        let (reply, answer) = oneshot::channel();
        let order = Order::Spawn {
            command: Box::new(command),
            result_file,
            spawner: self.clone(),
            reply,
        };
        let gone = || io::Error::other("the thread that starts processes is gone");
        self.orders.send(order).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
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

    /// The pipes to the child, once.
    pub(super) fn take_pipes(
        &mut self,
    ) -> (Option<ChildStdin>, Option<ChildStdout>, Option<ChildStderr>) {
        self.child.as_mut().map_or((None, None, None), |child| {
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        })
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

fn serve(orders: &Receiver<Order>, mut guard: Guard) {
    let mut dying = Vec::new();
    loop {
        let order = if dying.is_empty() {
            orders.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            orders.recv_timeout(REAP_INTERVAL)
        };
        match order {
            Ok(Order::Spawn {
                command,
                result_file,
                spawner,
                reply,
            }) => {
                // When nobody waits for it any more the leader is dropped, and so killed.
                let _ = reply.send(spawn(*command, &result_file, spawner, &mut guard));
            }
            Ok(Order::Reap(child)) => dying.push(child),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        dying.retain_mut(|child| !reap(child, &mut guard));
    }
    let deadline = Instant::now() + REAP_PATIENCE;
    while !dying.is_empty() && Instant::now() < deadline {
        std::thread::sleep(REAP_INTERVAL);
        dying.retain_mut(|child| !reap(child, &mut guard));
    }
}

fn spawn(
    mut command: Command,
    result_file: &str,
    spawner: Spawner,
    guard: &mut Guard,
) -> io::Result<Leader> {
    if !guard.expects(result_file) {
        tether(&mut command);
    }
    match command.spawn() {
        Ok(child) => {
            let group = Group::led_by(Pid::from_child(&child));
            guard.joined(group.id());
            Ok(Leader {
                child: Some(child),
                group,
                spawner,
            })
        }
        Err(error) => {
            guard.failed_to_join();
            Err(error)
        }
    }
}

/// Waits for a child that has ended, and says whether it is gone.
fn reap(child: &mut Child, guard: &mut Guard) -> bool {
    let group = Group::led_by(Pid::from_child(child));
    if matches!(group.ending(), Ok(None)) {
        return false;
    }
    guard.left(group.id());
    let _ = child.wait();
    true
}
