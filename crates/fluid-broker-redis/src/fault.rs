//! What goes wrong below the broker, and whether it may help to ask again.

use std::time::Duration;

use redis::{ErrorKind, RedisError};

/// The oldest server that has all that the scripts use.
pub(crate) const OLDEST: (u32, u32) = (6, 2);

/// Why something inside did not work; `to_error` says it to the caller.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// What the client or the server said.
    Redis(RedisError),
    /// No connection within this time.
    NoGreeting(Duration),
    /// No answer within this time; what was asked may have happened.
    NoAnswer(Duration),
    /// It was written, but too few replicas have it.
    FewReplicas { have: i64, want: u32 },
    /// The server is a replica.
    Replica,
    /// The server is no Redis that the scripts run on.
    Old(String),
    /// The keys were written by a newer fluid.
    TooNew(u32),
    /// A key holds what no fluid wrote.
    Corrupt(String),
    /// A file of the options can't be used, or they don't fit.
    Options(String),
}

pub(crate) type Outcome<T> = Result<T, Fault>;

impl From<RedisError> for Fault {
    fn from(error: RedisError) -> Self {
        Self::Redis(error)
    }
}

/// Codes that the server gives an error, also one that arose inside a script: older servers put it into the text.
const CODES: &[&str] = &[
    "OOM",
    "MISCONF",
    "READONLY",
    "NOPERM",
    "NOREPLICAS",
    "LOADING",
    "BUSY",
    "MASTERDOWN",
    "CLUSTERDOWN",
];

/// What a server's error is about.
pub(crate) fn code(error: &RedisError) -> String {
    let code = error.code().unwrap_or_default();
    if !matches!(code, "ERR" | "") {
        return code.to_owned();
    }
    let said = error.to_string();
    let inside = CODES
        .iter()
        .find(|code| said.contains(&format!("-{code} ")) || said.contains(&format!("{code} ")));
    inside.map_or_else(|| code.to_owned(), |code| (*code).to_owned())
}

impl Fault {
    /// The connection is of no use any more.
    pub(crate) fn breaks_connection(&self) -> bool {
        match self {
            Self::NoAnswer(_) | Self::NoGreeting(_) | Self::Replica => true,
            Self::Redis(error) => match error.kind() {
                ErrorKind::Io
                | ErrorKind::Parse
                | ErrorKind::ClusterConnectionNotFound
                | ErrorKind::AuthenticationFailed => true,
                _ => matches!(code(error).as_str(), "READONLY" | "NOAUTH" | "MASTERDOWN"),
            },
            _ => false,
        }
    }

    /// What was asked may have been done all the same.
    pub(crate) fn may_have_happened(&self) -> bool {
        match self {
            Self::NoAnswer(_) | Self::FewReplicas { .. } => true,
            Self::Redis(error) => matches!(error.kind(), ErrorKind::Io | ErrorKind::Parse),
            _ => false,
        }
    }

    /// The same call may go through in a moment. `elsewhere`: a new connection may lead to another server.
    pub(crate) fn passes(&self, elsewhere: bool) -> bool {
        match self {
            Self::NoAnswer(_) | Self::NoGreeting(_) | Self::FewReplicas { .. } => true,
            Self::Replica => elsewhere,
            Self::Redis(error) => match error.kind() {
                ErrorKind::Io
                | ErrorKind::Parse
                | ErrorKind::ClusterConnectionNotFound
                | ErrorKind::MasterNameNotFoundBySentinel => !self.is_tls(),
                _ => match code(error).as_str() {
                    "LOADING" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" | "MOVED" | "ASK"
                    | "BUSY" | "NOREPLICAS" => true,
                    "READONLY" => elsewhere,
                    _ => false,
                },
            },
            _ => false,
        }
    }

    pub(crate) fn is_tls(&self) -> bool {
        let Self::Redis(error) = self else {
            return false;
        };
        let said = error.to_string();
        [
            "certificate",
            "InvalidContentType",
            "corrupt message",
            "HandshakeFailure",
            "fatal alert",
        ]
        .iter()
        .any(|word| said.contains(word))
    }
}
