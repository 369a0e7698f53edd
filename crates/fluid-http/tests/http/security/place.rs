//! A server with given options, and requests to it as bytes on a socket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fluid_core::{Task, TaskContext, TaskError};
use fluid_http::{Access, HttpOptions, Server, Tokens, UserHeader, routes};
use fluid_scheduler::{MemoryBroker, TaskManager};
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Longer than any answer takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(30);

pub(super) const FULL: &str = "full-0123456789abcdef";
pub(super) const READ: &str = "read-0123456789abcdef";

pub(super) struct Guarded {
    pub(super) address: SocketAddr,
    pub(super) tokens: NamedTempFile,
    _stop: DropGuard,
}

pub(super) struct Answer {
    pub(super) status: u16,
    head: String,
    pub(super) body: String,
}

impl Guarded {
    /// With what these options say.
    pub(super) async fn with(set: impl FnOnce(&mut HttpOptions)) -> Self {
        let tokens = NamedTempFile::new().unwrap();
        std::fs::write(tokens.path(), format!("ada full {FULL}\nbob read {READ}\n")).unwrap();
        let hello =
            Task::function("hello", async |_: TaskContext| Ok::<_, TaskError>("hi")).unwrap();
        let manager = TaskManager::builder()
            .broker(Arc::new(MemoryBroker::new()))
            .task(hello)
            .build()
            .unwrap();
        let mut options = HttpOptions::default();
        options.access = Access::Known {
            tokens: Some(Tokens::from_file(tokens.path()).unwrap()),
            users: None,
        };
        set(&mut options);
        let limits = options.limits.clone();
        let app = routes(manager, options);
        let server = Server::bind(([127, 0, 0, 1], 0).into(), app).await.unwrap();
        let server = server.limits(limits);
        let address = server.address().unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(server.run(stop.clone()));
        Self {
            address,
            tokens,
            _stop: stop.drop_guard(),
        }
    }

    /// With the tokens [`FULL`] and [`READ`].
    pub(super) async fn by_tokens() -> Self {
        Self::with(|_| {}).await
    }

    /// As it is by default: for this machine alone.
    pub(super) async fn local() -> Self {
        Self::with(|options| options.access = Access::Local).await
    }

    /// With users that a proxy names.
    pub(super) async fn by_proxy(proxies: &str, users: UserHeader) -> Self {
        Self::with(|options| {
            options.proxies = vec![proxies.parse().unwrap()];
            options.access = Access::Known {
                tokens: None,
                users: Some(users),
            };
        })
        .await
    }

    /// Sends this and reads until the server closes.
    pub(super) async fn raw(&self, request: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // A server that has said all may close before it has read all.
        let _ = stream.write_all(request).await;
        Answer::read(&mut stream).await
    }

    /// A request with these lines of header and this body, on a connection of its own.
    pub(super) async fn ask(&self, line: &str, headers: &[&str], body: &str) -> Answer {
        let mut text = format!("{line} HTTP/1.1\r\n");
        if !headers.iter().any(|header| header.starts_with("Host:")) {
            text += &format!("Host: {}\r\n", self.address);
        }
        for header in headers {
            text += &format!("{header}\r\n");
        }
        text += &format!(
            "Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.raw(text.as_bytes()).await
    }

    pub(super) async fn get(&self, path: &str, headers: &[&str]) -> Answer {
        self.ask(&format!("GET {path}"), headers, "").await
    }
}

impl Answer {
    /// Reads all that comes; what a client that was cut off can't read is missing.
    pub(super) async fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        let read = tokio::time::timeout(DEADLINE, async {
            let mut part = [0; 4096];
            while let Ok(length @ 1..) = stream.read(&mut part).await {
                bytes.extend(&part[..length]);
            }
        });
        read.await.expect("the server closes");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        Self {
            status: status.unwrap_or_default(),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// The last word of the kind of problem.
    pub(super) fn problem(&self) -> &str {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{}\n\n{}",
            self.head,
            self.body
        );
        let kind = self.body.split("urn:fluid:problem:").nth(1).unwrap();
        kind.split('"').next().unwrap()
    }
}
