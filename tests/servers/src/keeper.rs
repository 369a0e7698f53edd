//! Servers that end with the test program, whatever ends it.

use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, mpsc};
use std::thread;

/// Starts a process from one thread that lives as long as the program: a process that asks to die with its parent dies
/// with the thread that started it, and the thread of a test is gone after the test.
pub(crate) fn spawn(command: Command) -> io::Result<Child> {
    type Answer = mpsc::Sender<io::Result<Child>>;
    static ORDERS: LazyLock<mpsc::Sender<(Command, Answer)>> = LazyLock::new(|| {
        let (orders, waiting) = mpsc::channel::<(Command, Answer)>();
        thread::spawn(move || {
            for (mut command, answer) in waiting {
                let _ = answer.send(command.spawn());
            }
        });
        orders
    });
    let (answer, spawned) = mpsc::channel();
    ORDERS.send((command, answer)).map_err(io::Error::other)?;
    spawned.recv().map_err(io::Error::other)?
}

/// Removes a folder once this program is gone, for what lives until then.
pub(crate) fn remove_at_the_end(folder: &Path) -> io::Result<Child> {
    let mut shell = Command::new("sh");
    // Its input ends with the program that holds the other end.
    shell
        .args(["-c", "read -r _; sleep 1; rm -rf \"$0\""])
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}
