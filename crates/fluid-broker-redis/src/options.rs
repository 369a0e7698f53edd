//! How a broker is to be opened.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fluid_core::{BrokerError, Clock, LogCap};

use crate::place::{Kind, Place};

/// What keys begin with unless told otherwise, between braces.
const PREFIX: &str = "fluid";

/// How long a call keeps trying unless told otherwise.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long one answer may take unless told otherwise.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// How to open a [`RedisBroker`](crate::RedisBroker).
///
/// ```
/// use fluid_broker_redis::RedisOptions;
///
/// let options = RedisOptions::from_url("rediss://fluid:secret@queue.example/2?prefix=billing&ca=/etc/ssl/ca.pem")?;
/// assert_eq!(options.describe(), "rediss://queue.example:6379/2?prefix=billing");
/// # Ok::<(), fluid_core::BrokerError>(())
/// ```
#[derive(Clone)]
pub struct RedisOptions {
    pub(crate) place: Place,
    pub(crate) prefix: String,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) certificate: Option<(PathBuf, PathBuf)>,
    pub(crate) sentinel_login: (Option<String>, Option<String>),
    pub(crate) replicas: u32,
    pub(crate) log_cap: LogCap,
    pub(crate) patience: Duration,
    pub(crate) answer_within: Duration,
    pub(crate) clock: Option<Arc<dyn Clock>>,
}

impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions")
            .field("url", &self.describe())
            .field("replicas", &self.replicas)
            .field("log_cap", &self.log_cap)
            .finish_non_exhaustive()
    }
}

impl RedisOptions {
    /// The server of a URL:
    ///
    /// | URL | what it names |
    /// |---|---|
    /// | `redis://[user:password@]host[:port][/db]` | one server |
    /// | `rediss://…` | the same over TLS |
    /// | `redis+unix:///path/of/socket[?db=1]` | one server on a Unix socket |
    /// | `redis[s]+sentinel://[user:password@]host[:port],…/master[/db]` | the primary that these Sentinels know by this name |
    /// | `redis[s]+cluster://[user:password@]host[:port],…` | a cluster, by some of its nodes |
    ///
    /// Parameters after a `?`, joined by `&`: `prefix` ([`prefix`](Self::prefix)), `ca` ([`ca`](Self::ca)), `cert` and
    /// `key` ([`certificate`](Self::certificate)), `replicas` ([`replicas`](Self::replicas)), and `sentinel_user` and
    /// `sentinel_password` if the Sentinels ask for them. What is no letter or digit in a user or password is safest
    /// written as `%xx`.
    ///
    /// # Errors
    /// [`BrokerError::Invalid`] for another scheme, for a URL that does not name a server, and for an unknown parameter.
    pub fn from_url(url: &str) -> Result<Self, BrokerError> {
        let mut place = Place::parse(url)?;
        let (prefix, ca, cert, key, replicas) = (
            place.take("prefix"),
            place.take("ca"),
            place.take("cert"),
            place.take("key"),
            place.take("replicas"),
        );
        let sentinel_login = (place.take("sentinel_user"), place.take("sentinel_password"));
        let mut options = Self {
            place,
            prefix: PREFIX.to_owned(),
            ca: ca.map(PathBuf::from),
            certificate: None,
            sentinel_login,
            replicas: 0,
            log_cap: LogCap::default(),
            patience: PATIENCE,
            answer_within: ANSWER_WITHIN,
            clock: None,
        };
        if let Some((name, _)) = options.place.query.first() {
            return Err(options.invalid(format!(
                "the URL has the parameter {name:?}, which this broker does not know: use prefix, ca, cert, key, replicas, sentinel_user or sentinel_password"
            )));
        }
        match (cert, key) {
            (Some(cert), Some(key)) => options.certificate = Some((cert.into(), key.into())),
            (None, None) => {}
            _ => {
                return Err(
                    options.invalid("cert and key belong together: give both or none".to_owned())
                );
            }
        }
        if !options.place.tls && (options.ca.is_some() || options.certificate.is_some()) {
            return Err(options
                .invalid("ca, cert and key are for TLS: begin the URL with rediss".to_owned()));
        }
        if let Some(replicas) = replicas {
            options.replicas = replicas.parse().map_err(|_| {
                options.invalid(format!(
                    "replicas={replicas:?} is no number: use 0, 1, 2 and so on"
                ))
            })?;
        }
        if options.replicas > 0 && options.place.kind == Kind::Cluster {
            return Err(options.invalid(
                "replicas is not for clusters: set min-replicas-to-write in their configuration"
                    .to_owned(),
            ));
        }
        if let Some(prefix) = prefix {
            options = options.prefix(prefix)?;
        }
        Ok(options)
    }

    fn invalid(&self, reason: String) -> BrokerError {
        BrokerError::Invalid {
            broker: self.describe(),
            reason,
        }
    }

    /// What all keys begin with, between braces: `fluid` by default, so that keys are named `{fluid}:run` and so on.
    /// Two prefixes in one database are two brokers that know nothing of each other.
    ///
    /// # Errors
    /// [`BrokerError::Invalid`] when it is empty or holds a brace, a control character or a blank.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Result<Self, BrokerError> {
        let prefix = prefix.into();
        let bad = |c: char| matches!(c, '{' | '}') || c.is_control() || c.is_whitespace();
        if prefix.is_empty() || prefix.contains(bad) {
            return Err(self.invalid(format!(
                "{prefix:?} is no prefix: use letters, digits and the like, but no braces and blanks"
            )));
        }
        self.prefix = prefix;
        Ok(self)
    }

    /// A file with the certificates (PEM) of those whose word for the server's certificate is taken, in place of those
    /// that the system trusts.
    #[must_use]
    pub fn ca(mut self, file: impl AsRef<Path>) -> Self {
        self.ca = Some(file.as_ref().to_owned());
        self
    }

    /// Files with this client's own certificate and its key (PEM), for servers that ask for one.
    #[must_use]
    pub fn certificate(mut self, certificate: impl AsRef<Path>, key: impl AsRef<Path>) -> Self {
        self.certificate = Some((certificate.as_ref().to_owned(), key.as_ref().to_owned()));
        self
    }

    /// How many replicas must have what was written before a call that must not be lost is answered; 0 by default. With
    /// one or more, a failover to a replica that has it loses nothing. It costs each such call a trip to the replicas.
    #[must_use]
    pub fn replicas(mut self, replicas: u32) -> Self {
        self.replicas = replicas;
        self
    }

    /// How much of a run's output is kept.
    #[must_use]
    pub fn log_cap(mut self, cap: LogCap) -> Self {
        self.log_cap = cap;
        self
    }

    /// How long a call keeps trying while the server can't be reached, loads its data or fails over; 10 s by default.
    /// Then it fails with [`BrokerError::Unreachable`].
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// How long one answer of the server may take before its connection counts as lost; 5 s by default.
    #[must_use]
    pub fn answer_within(mut self, timeout: Duration) -> Self {
        self.answer_within = timeout;
        self
    }

    /// Where the broker's time comes from, for tests; the clock of the server unless set.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// The broker's URL without secrets.
    pub fn describe(&self) -> String {
        let mut url = self.place.describe();
        if self.prefix != PREFIX {
            url.push_str("?prefix=");
            url.push_str(&self.prefix);
        }
        url
    }
}

#[cfg(test)]
mod tests {
    use super::RedisOptions;

    #[test]
    fn what_does_not_fit_is_told() {
        for (url, hint) in [
            ("redis://localhost?colour=red", "\"colour\""),
            ("redis://localhost?ca=/x", "begin the URL with rediss"),
            ("rediss://localhost?cert=/x", "cert and key belong together"),
            ("redis://localhost?replicas=many", "\"many\" is no number"),
            ("redis+cluster://localhost?replicas=1", "not for clusters"),
            ("redis://localhost?prefix=%7Ba", "is no prefix"),
        ] {
            let error = RedisOptions::from_url(url).unwrap_err().to_string();
            assert!(error.contains(hint), "{url}: {error}");
        }
    }

    #[test]
    fn options_tell_no_secret() {
        let url =
            "redis+sentinel://u:hunter2@a/m?sentinel_user=s&sentinel_password=hunter2&prefix=x";
        let options = RedisOptions::from_url(url).unwrap();
        let told = format!("{options:?} {}", options.describe());
        assert!(!told.contains("hunter2"), "{told}");
        assert_eq!(options.describe(), "redis+sentinel://a:26379/m?prefix=x");
    }
}
