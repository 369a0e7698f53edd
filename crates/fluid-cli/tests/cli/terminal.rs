//! A terminal: what a program draws on it is read as a person would.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::place::DEADLINE;
use crate::serving::quiet_http;

const ROWS: u16 = 40;
const COLUMNS: u16 = 100;

#[derive(Default)]
struct Drawn {
    bytes: Mutex<(Vec<u8>, bool)>,
    changed: Condvar,
}

/// A program on a terminal of 100 × 40 characters; killed when dropped.
pub(crate) struct Terminal {
    child: Child,
    keyboard: File,
    drawn: Arc<Drawn>,
}

impl Terminal {
    /// Starts a program with all its streams on the terminal.
    pub(crate) fn start(mut command: Command) -> Self {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC);
        let keyboard: OwnedFd = keyboard.unwrap();
        grantpt(&keyboard).unwrap();
        unlockpt(&keyboard).unwrap();
        let size = Winsize {
            ws_row: ROWS,
            ws_col: COLUMNS,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&keyboard, size).unwrap();
        let name = ptsname(&keyboard, Vec::new()).unwrap().into_bytes();
        let name = std::ffi::OsString::from_vec(name);
        let screen = OpenOptions::new()
            .read(true)
            .write(true)
            .open(name)
            .unwrap();
        quiet_http(&mut command);
        command
            .env("TERM", "xterm-256color")
            .stdin(screen.try_clone().unwrap())
            .stdout(screen.try_clone().unwrap())
            .stderr(screen);
        let child = command.spawn().unwrap();
        // Its copies of the terminal must go, or the end of the program would not be the end of what it draws.
        drop(command);
        let keyboard = File::from(keyboard);
        let drawn = Arc::new(Drawn::default());
        let (mut output, shared) = (keyboard.try_clone().unwrap(), drawn.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The last program that leaves the terminal makes this an error on Linux.
            while let Ok(read @ 1..) = output.read(&mut buffer) {
                shared.bytes.lock().unwrap().0.extend(&buffer[..read]);
                shared.changed.notify_all();
            }
            shared.bytes.lock().unwrap().1 = true;
            shared.changed.notify_all();
        });
        Self {
            child,
            keyboard,
            drawn,
        }
    }

    /// What the screen shows now, without colours.
    pub(crate) fn screen(&self) -> String {
        screen_of(&self.drawn.bytes.lock().unwrap().0)
    }

    /// All that was ever written to it, colours included.
    pub(crate) fn raw(&self) -> String {
        String::from_utf8_lossy(&self.drawn.bytes.lock().unwrap().0).into_owned()
    }

    /// Types.
    pub(crate) fn keys(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits until the screen is so; the screen.
    pub(crate) fn until(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + DEADLINE;
        let mut bytes = self.drawn.bytes.lock().unwrap();
        loop {
            let screen = screen_of(&bytes.0);
            if is_so(&screen) {
                return screen;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                left > Duration::ZERO && !bytes.1,
                "no {what} on the screen:\n{screen}"
            );
            bytes = self.drawn.changed.wait_timeout(bytes, left).unwrap().0;
        }
    }

    /// Waits for the end of the program; the last screen and how it ended.
    pub(crate) fn end(mut self) -> (String, ExitStatus) {
        let deadline = Instant::now() + DEADLINE;
        let mut bytes = self.drawn.bytes.lock().unwrap();
        while !bytes.1 {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                left > Duration::ZERO,
                "it goes on:\n{}",
                screen_of(&bytes.0)
            );
            bytes = self.drawn.changed.wait_timeout(bytes, left).unwrap().0;
        }
        drop(bytes);
        let status = self.child.wait().unwrap();
        (self.screen(), status)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn screen_of(bytes: &[u8]) -> String {
    let size = |n| NonZeroU16::new(n).unwrap();
    let mut parser = vt100::Parser::new(size(ROWS), size(COLUMNS), 0);
    parser.process(bytes);
    let rows = parser.screen().rows(0, size(COLUMNS).get());
    let rows: Vec<String> = rows.map(|row| row.trim_end().to_owned()).collect();
    rows.join("\n").trim_end().to_owned()
}
