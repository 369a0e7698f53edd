//! A proxy that loses answers.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Stands between a client and a server, and cuts connections at will.
#[derive(Debug)]
pub struct Cutter {
    port: u16,
    rule: Arc<Mutex<Cut>>,
}

/// What a [`Cutter`] does with what the server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// It passes everything on.
    Nothing,
    /// It drops the next answer, or what else comes from the server, and the connection with it; then it passes on.
    NextAnswer,
    /// It drops each answer and its connection.
    EveryAnswer,
}

impl Cutter {
    /// A proxy before the server at this port.
    pub fn start(to: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let rule = Arc::new(Mutex::new(Cut::Nothing));
        let shared = rule.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else {
                    continue;
                };
                let (Ok(from_client), Ok(from_server)) = (client.try_clone(), server.try_clone())
                else {
                    continue;
                };
                let rule = shared.clone();
                thread::spawn(move || pass(from_client, &server, |_| true));
                thread::spawn(move || {
                    pass(from_server, &client, |answer| may_pass(&rule, answer));
                });
            }
        });
        Ok(Self { port, rule })
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it does from now on.
    pub fn cut(&self, what: Cut) {
        if let Ok(mut rule) = self.rule.lock() {
            *rule = what;
        }
    }

    /// What it does now.
    pub fn rule(&self) -> Cut {
        self.rule.lock().map_or(Cut::Nothing, |rule| *rule)
    }
}

fn may_pass(rule: &Mutex<Cut>, answer: &[u8]) -> bool {
    let Ok(mut rule) = rule.lock() else {
        return true;
    };
    // Errors are no answers to what was asked: the script that is not known yet, say.
    if answer.starts_with(b"-") {
        return true;
    }
    match *rule {
        Cut::Nothing => true,
        Cut::NextAnswer => {
            *rule = Cut::Nothing;
            false
        }
        Cut::EveryAnswer => false,
    }
}

/// Passes bytes on until one side closes, or until `may` says no; then both are closed.
fn pass(mut from: TcpStream, mut to: &TcpStream, may: impl Fn(&[u8]) -> bool) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(read) = from.read(&mut buffer) {
        if read == 0 || !may(&buffer[..read]) || to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    for side in [&from, to] {
        let _ = side.shutdown(Shutdown::Both);
    }
}
