//! How a broker is to be opened.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fluid_core::{BrokerError, Clock, LogCap};
use tokio_postgres::Config;
use tokio_postgres::config::Host;

use crate::tls::{SslMode, Tls};

/// The schema unless another one is named.
const SCHEMA: &str = "fluid";
/// The longest name of a schema: names of channels, which have 63 bytes at most, are made of it.
const LONGEST_SCHEMA: usize = 48;
const MAX_CONNECTIONS: usize = 10;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const CALL_DEADLINE: Duration = Duration::from_secs(30);

/// How to open a [`PostgresBroker`](crate::PostgresBroker).
///
/// ```
/// use fluid_broker_postgres::PostgresOptions;
/// use std::time::Duration;
///
/// let options = PostgresOptions::from_url("postgres://me:secret@db.example/app?sslmode=verify-full&schema=jobs")?
///     .max_connections(20)
///     .call_deadline(Duration::from_secs(10));
/// assert_eq!(options.describe(), "postgres://me@db.example/app?schema=jobs");
/// # Ok::<(), fluid_core::BrokerError>(())
/// ```
#[derive(Clone)]
pub struct PostgresOptions {
    pub(crate) config: Config,
    pub(crate) tls: Tls,
    pub(crate) schema: String,
    pub(crate) max_connections: usize,
    pub(crate) call_deadline: Duration,
    pub(crate) log_cap: LogCap,
    pub(crate) clock: Option<Arc<dyn Clock>>,
}

impl PostgresOptions {
    /// The database of a URL, `postgres://user:password@host:port/database?key=value&…`. Keys are those of
    /// [`tokio_postgres::Config`], and:
    ///
    /// | key | meaning |
    /// |---|---|
    /// | `schema` | where fluid keeps its tables; `fluid` |
    /// | `max_connections` | at most so many connections, beside one that listens; 10 |
    /// | `sslmode` | `disable`, `prefer` (the default), `require`, `verify-ca`, `verify-full`, as `libpq` means them |
    /// | `sslrootcert` | PEM file with the CAs that are trusted; those of the system |
    /// | `sslcert`, `sslkey` | PEM files with the client's certificate and key |
    ///
    /// A Unix socket is `postgres:///database?host=/var/run/postgresql&user=me`; there is no TLS on it.
    ///
    /// # Errors
    /// [`BrokerError::Invalid`], which never shows the password.
    pub fn from_url(url: &str) -> Result<Self, BrokerError> {
        let invalid = |reason: String| BrokerError::Invalid {
            broker: "postgres:".to_owned(),
            reason,
        };
        if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
            let scheme = url.split(':').next().unwrap_or_default();
            return Err(invalid(format!(
                "{scheme:?} is no scheme of this broker: use postgres://user:password@host:port/database"
            )));
        }
        let (place, query) = url.split_once('?').unwrap_or((url, ""));
        let mut tls = Tls::default();
        let mut schema = SCHEMA.to_owned();
        let mut max_connections = MAX_CONNECTIONS;
        let (mut certificate, mut key) = (None, None);
        let mut rest = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decoded(value).ok_or_else(|| {
                invalid(format!(
                    "the value of {name:?} is no text in percent-encoding"
                ))
            })?;
            match name {
                "schema" => schema = value,
                "max_connections" => {
                    max_connections =
                        value.parse().ok().filter(|most| *most > 0).ok_or_else(|| {
                            invalid(format!(
                                "max_connections is {value:?}: use a number from 1 on"
                            ))
                        })?;
                }
                "sslmode" => {
                    tls.mode = SslMode::parse(&value).ok_or_else(|| {
                        invalid(format!(
                            "sslmode is {value:?}: use disable, prefer, require, verify-ca or verify-full"
                        ))
                    })?;
                }
                "sslrootcert" if value == "system" => tls.root = None,
                "sslrootcert" => tls.root = Some(PathBuf::from(value)),
                "sslcert" => certificate = Some(PathBuf::from(value)),
                "sslkey" => key = Some(PathBuf::from(value)),
                _ => rest.push(pair),
            }
        }
        tls.client = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => {
                return Err(invalid(
                    "sslcert and sslkey go together: name both".to_owned(),
                ));
            }
        };
        let mut plain = place.to_owned();
        if !rest.is_empty() {
            plain.push('?');
            plain.push_str(&rest.join("&"));
        }
        let config: Config = plain
            .parse()
            .map_err(|error: tokio_postgres::Error| invalid(reason(&error)))?;
        Self::new(config, tls, &schema, max_connections)
    }

    fn new(
        mut config: Config,
        tls: Tls,
        schema: &str,
        max_connections: usize,
    ) -> Result<Self, BrokerError> {
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            config.host("localhost");
        }
        if config.get_user().is_none() {
            let user = std::env::var("USER").unwrap_or_else(|_| "postgres".to_owned());
            config.user(user);
        }
        if config.get_application_name().is_none() {
            config.application_name("fluid");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        config.keepalives_idle(Duration::from_secs(30));
        let only_sockets = config
            .get_hosts()
            .iter()
            .all(|host| !matches!(host, Host::Tcp(_)));
        config.ssl_mode(if only_sockets && config.get_hostaddrs().is_empty() {
            tokio_postgres::config::SslMode::Disable
        } else {
            tls.mode.of_client()
        });
        Self {
            config,
            tls,
            schema: SCHEMA.to_owned(),
            max_connections,
            call_deadline: CALL_DEADLINE,
            log_cap: LogCap::default(),
            clock: None,
        }
        .schema(schema)
    }

    /// Where fluid keeps its tables; `fluid` by default. It is made if there is none.
    ///
    /// # Errors
    /// [`BrokerError::Invalid`] unless it is 1 to 48 of `a`–`z`, `0`–`9` and `_`, and begins with a letter or `_`.
    pub fn schema(mut self, schema: &str) -> Result<Self, BrokerError> {
        let begins = schema.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
        let holds = schema
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if !begins || !holds || schema.len() > LONGEST_SCHEMA || schema.starts_with("pg_") {
            return Err(BrokerError::Invalid {
                broker: self.describe(),
                reason: format!(
                    "schema {schema:?} can't be used: use 1 to {LONGEST_SCHEMA} of a-z, 0-9 and '_', begin with a letter \
                     or '_', and not with \"pg_\""
                ),
            });
        }
        schema.clone_into(&mut self.schema);
        Ok(self)
    }

    /// At most so many connections, beside one that listens; 10 by default.
    #[must_use]
    pub fn max_connections(mut self, most: usize) -> Self {
        self.max_connections = most.max(1);
        self
    }

    /// How long a call may take in all before it fails with [`BrokerError::Unreachable`]; 30 s by default.
    #[must_use]
    pub fn call_deadline(mut self, deadline: Duration) -> Self {
        self.call_deadline = deadline;
        self
    }

    /// How long making a connection may take; 10 s by default, or `connect_timeout` of the URL.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.config.connect_timeout(timeout);
        self
    }

    /// How much of a run's output is kept.
    #[must_use]
    pub fn log_cap(mut self, cap: LogCap) -> Self {
        self.log_cap = cap;
        self
    }

    /// Another clock than the server's, for tests: all that work on one schema must have the same.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// The broker's URL without the password.
    pub fn describe(&self) -> String {
        let user = self.config.get_user().unwrap_or_default();
        let ports = self.config.get_ports();
        let port = |place: usize| {
            ports
                .get(place)
                .or(ports.first())
                .filter(|port| **port != 5432)
        };
        let (mut hosts, mut sockets) = (Vec::new(), Vec::new());
        for (place, host) in self.config.get_hosts().iter().enumerate() {
            match host {
                Host::Tcp(name) => hosts.push(match port(place) {
                    Some(port) => format!("{name}:{port}"),
                    None => name.clone(),
                }),
                #[cfg(unix)]
                Host::Unix(path) => sockets.push(format!("host={}", path.display())),
            }
        }
        if hosts.is_empty() {
            hosts.extend(self.config.get_hostaddrs().iter().map(ToString::to_string));
        }
        let mut more = sockets;
        if !more.is_empty()
            && let Some(port) = port(0)
        {
            more.push(format!("port={port}"));
        }
        if self.schema != SCHEMA {
            more.push(format!("schema={}", self.schema));
        }
        let database = self.config.get_dbname().unwrap_or(user);
        let mut url = format!("postgres://{user}@{}/{database}", hosts.join(","));
        if !more.is_empty() {
            url.push('?');
            url.push_str(&more.join("&"));
        }
        url
    }
}

impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("url", &self.describe())
            .field("tls", &self.tls)
            .field("max_connections", &self.max_connections)
            .field("call_deadline", &self.call_deadline)
            .finish_non_exhaustive()
    }
}

/// What is wrong with a URL, in the client's words, which quote keys and never values.
fn reason(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    if let Some(cause) = std::error::Error::source(error) {
        text.push_str(": ");
        text.push_str(&cause.to_string());
    }
    text
}

fn decoded(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let value = digit()? * 16 + digit()?;
        bytes.push(u8::try_from(value).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_a_database_and_show_no_password() {
        for (url, described) in [
            ("postgres://me:hush@db/app", "postgres://me@db/app"),
            (
                "postgresql://me:hush@db:5433/app",
                "postgres://me@db:5433/app",
            ),
            (
                "postgres://me@a,b:1,2/app?target_session_attrs=read-write",
                "postgres://me@a,b:1,2/app",
            ),
            (
                "postgres:///app?host=%2Ftmp%2Fpg&user=me&password=hush",
                "postgres://me@/app?host=/tmp/pg",
            ),
            (
                "postgres://me@db/app?schema=jobs&max_connections=3&sslmode=verify-full&sslrootcert=/ca%20s.pem",
                "postgres://me@db/app?schema=jobs",
            ),
        ] {
            let Ok(options) = PostgresOptions::from_url(url) else {
                let error = PostgresOptions::from_url(url).unwrap_err();
                assert!(url.contains("a,b:1,2"), "{url}: {error}");
                continue;
            };
            assert_eq!(options.describe(), described, "{url}");
            assert!(!format!("{options:?}").contains("hush"), "{options:?}");
        }
        let options = PostgresOptions::from_url(
            "postgres://me@db/a?sslmode=verify-full&sslrootcert=/ca%20s.pem",
        );
        let tls = options.unwrap().tls;
        assert_eq!(
            (tls.mode, tls.root),
            (SslMode::VerifyFull, Some("/ca s.pem".into()))
        );
    }

    #[test]
    fn a_wrong_url_says_what_is_wrong_and_no_secret() {
        for (url, hint) in [
            ("redis://me:hush@db", "\"redis\" is no scheme"),
            ("postgres://me:hush@db/app?schema=My", "schema \"My\""),
            ("postgres://me:hush@db/app?schema=pg_x", "\"pg_x\""),
            ("postgres://me:hush@db/app?sslmode=maybe", "\"maybe\""),
            ("postgres://me:hush@db/app?max_connections=0", "\"0\""),
            ("postgres://me:hush@db/app?sslcert=a", "sslkey"),
            ("postgres://me:hush@db/app?colour=red", "colour"),
            ("postgres://me:hush@db:port/app", "port"),
        ] {
            let error = PostgresOptions::from_url(url).unwrap_err().to_string();
            assert!(error.contains(hint), "{url}: {error}");
            assert!(!error.contains("hush"), "{error}");
        }
    }
}
