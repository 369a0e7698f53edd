//! Keeps servers for as long as the test program lives, and cleans up after it however it ends.

use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, mpsc};

type Spawned = io::Result<Child>;

/// Starts a process from a thread that lives as long as the program: the death signal that a server asks for comes
/// with the end of the thread that started it, and a test's thread ends with the test.
pub(crate) fn spawn(command: Command) -> Spawned {
    static STARTER: LazyLock<mpsc::Sender<(Command, mpsc::Sender<Spawned>)>> =
        LazyLock::new(|| {
            let (orders, received) = mpsc::channel::<(Command, mpsc::Sender<Spawned>)>();
            std::thread::spawn(move || {
                for (mut command, answer) in received {
                    // Who asked may have given up.
                    let _ = answer.send(command.spawn());
                }
            });
            orders
        });
    let (answer, spawned) = mpsc::channel();
    STARTER
        .send((command, answer))
        .map_err(|_| io::Error::other("the thread that starts servers is gone"))?;
    spawned.recv().map_err(io::Error::other)?
}

/// Removes a folder when this program ends, even if it is killed. A folder that is gone by then is no fault.
pub(crate) fn remove_at_the_end(folder: &Path) -> io::Result<Child> {
    // The pipe closes with the program; then the server needs a moment to end as well.
    Command::new("sh")
        .args(["-c", "cat > /dev/null; sleep 2; exec rm -rf -- \"$0\""])
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}
