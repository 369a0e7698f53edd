//! What PostgreSQL says, in the words of [`BrokerError`].

use std::error::Error as _;
use std::io;
use std::time::Duration;

use deadpool::managed::PoolError;
use fluid_core::BrokerError;
use tokio_postgres::error::{DbError, SqlState};

/// Why something inside did not work.
#[derive(Debug)]
pub(crate) enum Fault {
    /// No connection could be made.
    Connect(tokio_postgres::Error),
    /// The server or the connection failed in the middle of a call.
    Call(tokio_postgres::Error),
    /// Nothing came back in time.
    Silent(Duration),
    /// All connections are in use for longer than is reasonable.
    Busy(Duration),
    Corrupt(String),
    TooNew {
        found: u32,
        supported: u32,
    },
    /// The server or the database is not one that fluid can use.
    Unfit(String),
    /// It can only be read, and the tables are missing or of an older version.
    NotMigrated(String),
    Closed,
}

pub(crate) type Outcome<T> = Result<T, Fault>;

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Call(error)
    }
}

impl Fault {
    pub(crate) fn of_pool(error: PoolError<tokio_postgres::Error>, waited: Duration) -> Self {
        match error {
            PoolError::Backend(error) => Self::Connect(error),
            PoolError::Timeout(deadpool::managed::TimeoutType::Wait) => Self::Busy(waited),
            PoolError::Timeout(_) => Self::Silent(waited),
            PoolError::Closed | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => {
                Self::Closed
            }
        }
    }

    /// The server gave the call up because of what others did at the same time: it may simply be made again.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self, Self::Call(error) if error.code().is_some_and(|code| {
            *code == SqlState::T_R_SERIALIZATION_FAILURE || *code == SqlState::T_R_DEADLOCK_DETECTED
        }))
    }

    /// A run that was to be new is there already, or another attempt than the one that ends goes on: the call takes care
    /// of that when it is told to.
    pub(crate) fn wants_care(&self) -> bool {
        matches!(self, Self::Call(error) if error.code().is_some_and(|code| {
            *code == SqlState::UNIQUE_VIOLATION || code.code() == "FLU02"
        }))
    }

    /// The connection is gone, and with it the answer: the call may have happened or not.
    pub(crate) fn is_lost_answer(&self) -> bool {
        match self {
            Self::Call(error) => match error.as_db_error() {
                Some(error) => is_going_away(error.code()),
                None => error.is_closed() || cause::<io::Error>(error).is_some(),
            },
            _ => false,
        }
    }

    /// Says it to the caller. Once a broker has been opened, what worked before is believed to work again.
    pub(crate) fn to_error(&self, broker: &str, opened: bool) -> BrokerError {
        let error = self.first_error(broker);
        match error {
            BrokerError::Invalid { broker, reason }
                if opened && matches!(self, Self::Connect(_)) =>
            {
                BrokerError::Unreachable {
                    broker,
                    reason,
                    source: None,
                }
            }
            other => other,
        }
    }

    fn first_error(&self, broker: &str) -> BrokerError {
        let broker = broker.to_owned();
        match self {
            Self::Connect(error) => connecting(error, broker),
            Self::Call(error) => calling(error, broker),
            Self::Silent(waited) => unreachable(
                broker,
                format!(
                    "nothing came back within {waited:?}: see whether the server hangs or the network drops"
                ),
            ),
            Self::Busy(waited) => unreachable(
                broker,
                format!(
                    "all of this process's connections were in use for {waited:?}: allow more with max_connections \
                     in the URL"
                ),
            ),
            Self::Corrupt(reason) => BrokerError::Corrupt {
                broker,
                reason: reason.clone(),
            },
            Self::TooNew { found, supported } => BrokerError::SchemaTooNew {
                broker,
                found: *found,
                supported: *supported,
            },
            Self::Unfit(reason) => BrokerError::Invalid {
                broker,
                reason: reason.clone(),
            },
            Self::NotMigrated(reason) => BrokerError::ReadOnly {
                broker,
                reason: reason.clone(),
            },
            Self::Closed => BrokerError::Closed { broker },
        }
    }
}

fn unreachable(broker: String, reason: String) -> BrokerError {
    BrokerError::Unreachable {
        broker,
        reason,
        source: None,
    }
}

/// The server ends this connection, or takes none at the moment. Class 08 is also what a pooler says of a server
/// that is gone.
fn is_going_away(code: &SqlState) -> bool {
    *code == SqlState::ADMIN_SHUTDOWN
        || *code == SqlState::CRASH_SHUTDOWN
        || *code == SqlState::CANNOT_CONNECT_NOW
        || code.code() == "57P05"
        || code.code().starts_with("08")
}

/// The first cause of this type.
fn cause<T: std::error::Error + 'static>(error: &tokio_postgres::Error) -> Option<&T> {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(found) = cause.downcast_ref() {
            return Some(found);
        }
        source = cause.source();
    }
    None
}

/// The error and its causes, those that say something new.
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = cause.source();
    }
    text
}

fn connecting(error: &tokio_postgres::Error, broker: String) -> BrokerError {
    if let Some(error) = error.as_db_error() {
        return told(error, broker);
    }
    let said = whole(error);
    if said.contains("TLS handshake") {
        return BrokerError::Invalid {
            broker,
            reason: tls_reason(&said),
        };
    }
    if said.starts_with("authentication error") || said.starts_with("invalid configuration") {
        return BrokerError::Invalid {
            broker,
            reason: format!("{said}: check the user and password in the URL"),
        };
    }
    let hint = match cause::<io::Error>(error).map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => {
            "nobody listens there; check host and port, and that the server runs"
        }
        Some(io::ErrorKind::NotFound) => "there is no such socket; check that the server runs",
        Some(io::ErrorKind::TimedOut) => "nothing answers there; check host, port and firewall",
        _ if said.contains("lookup") => "check the host in the URL",
        _ => "check the URL, and that the server runs",
    };
    unreachable(broker, format!("{said}: {hint}"))
}

fn tls_reason(said: &str) -> String {
    let hint = if said.contains("does not support TLS") {
        "the server does not speak TLS: turn it on there (ssl = on), or use sslmode=disable"
    } else if said.contains("UnknownIssuer") || said.contains("BadSignature") {
        "nobody that is trusted signed its certificate: name the CA's file with sslrootcert"
    } else if said.contains("NotValidForName") || said.contains("not valid for name") {
        "its certificate is for another host: use the name that it has, or sslmode=verify-ca"
    } else if said.contains("Expired") || said.contains("expired") {
        "its certificate is too old: renew it"
    } else {
        "check sslmode and the server's certificate"
    };
    format!("{said}: {hint}")
}

fn calling(error: &tokio_postgres::Error, broker: String) -> BrokerError {
    if let Some(error) = error.as_db_error() {
        return told(error, broker);
    }
    let said = whole(error);
    if error.is_closed() || cause::<io::Error>(error).is_some() {
        return unreachable(
            broker,
            format!("{said}: the server, or something on the way, closed the connection"),
        );
    }
    BrokerError::Other {
        broker,
        reason: said,
        source: None,
    }
}

/// The one place where SQLSTATEs (PostgreSQL's manual, appendix A) get their meaning.
fn told(error: &DbError, broker: String) -> BrokerError {
    let code = error.code();
    let mut said = error.message().to_owned();
    for more in [error.detail(), error.hint()].into_iter().flatten() {
        said.push_str(": ");
        said.push_str(more);
    }
    let said = format!("{said} ({})", code.code());
    let invalid = |hint: &str| BrokerError::Invalid {
        broker: broker.clone(),
        reason: format!("{said}; {hint}"),
    };
    match code.code() {
        "28P01" => invalid("check the user and password in the URL"),
        "28000" if said.contains("no encryption") => {
            invalid("the server wants TLS: use sslmode=require or better")
        }
        "28000" => {
            invalid("the server lets nobody in this way: check user and host, and its pg_hba.conf")
        }
        "3D000" => invalid("create the database, or name another one in the URL"),
        "42501" => invalid(
            "grant the role what docs/postgres.md lists, or let a role that may do so run `fluid-cli migrate`",
        ),
        "FLU01" => invalid("or set it for the database"),
        "22021" | "22P05" => invalid("the database must have the encoding UTF8"),
        "25006" => BrokerError::ReadOnly {
            // The server names the statement: whoever waits would hear of one outage in many words.
            reason: "nothing can be written (25006): this is a standby, or default_transaction_read_only is on; name the \
                     primary in the URL"
                .to_owned(),
            broker,
        },
        "53100" => BrokerError::Full {
            reason: format!("the server's disk is full ({said})"),
            broker,
        },
        "53300" | "53400" => {
            let hint = "raise max_connections of the server, or lower max_connections in the URL";
            unreachable(broker, format!("{said}; {hint}"))
        }
        "42P01" | "42883" | "3F000" => BrokerError::Corrupt {
            reason: format!("what fluid keeps there is gone or incomplete ({said})"),
            broker,
        },
        "XX001" | "XX002" => BrokerError::Corrupt {
            reason: said,
            broker,
        },
        "54000" => invalid("a value is larger than PostgreSQL keeps"),
        other if is_going_away(code) || other.starts_with("53") || other.starts_with("58") => {
            unreachable(broker, said)
        }
        "40001" | "40P01" | "55P03" | "57014" => BrokerError::Locked {
            reason: said,
            broker,
        },
        _ => BrokerError::Other {
            reason: said,
            broker,
            source: None,
        },
    }
}
