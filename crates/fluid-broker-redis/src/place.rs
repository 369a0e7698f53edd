//! Where a server is, and how to greet it, as a URL says it.

use std::fmt;

use fluid_core::BrokerError;
use percent_encoding::percent_decode_str;

/// The forms that a URL may have, for messages.
const FORMS: &str = "redis://[user:password@]host[:port][/db], rediss:// for TLS, \
     redis+sentinel://host[:port],…/master[/db], redis+cluster://host[:port],…, or redis+unix:///path/of/socket";

const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// What stands behind a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One server.
    One,
    /// A Unix socket.
    Socket(String),
    /// The primary that Sentinels know under this name.
    Sentinel(String),
    /// A cluster.
    Cluster,
}

/// What a URL says of the server. Its `Debug` leaves the secrets out.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) kind: Kind,
    pub(crate) tls: bool,
    /// Names or addresses, and ports. One, but for Sentinels and clusters.
    pub(crate) hosts: Vec<(String, u16)>,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) db: i64,
    /// What follows the `?`, decoded.
    pub(crate) query: Vec<(String, String)>,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe())
    }
}

fn invalid(reason: String) -> BrokerError {
    BrokerError::Invalid {
        broker: "redis".to_owned(),
        reason,
    }
}

fn decode(text: &str) -> Result<String, BrokerError> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| invalid("a part of the URL is no UTF-8 once its %xx are decoded".to_owned()))
}

impl Place {
    /// Reads a URL. No message quotes more of it than the scheme: the rest may hold a password.
    pub(crate) fn parse(url: &str) -> Result<Self, BrokerError> {
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| invalid(format!("the URL has no scheme: use {FORMS}")))?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (tls, kind) = match scheme {
            "redis" => (false, Kind::One),
            "rediss" => (true, Kind::One),
            "redis+unix" => (false, Kind::Socket(String::new())),
            "redis+sentinel" => (false, Kind::Sentinel(String::new())),
            "rediss+sentinel" => (true, Kind::Sentinel(String::new())),
            "redis+cluster" => (false, Kind::Cluster),
            "rediss+cluster" => (true, Kind::Cluster),
            other => {
                return Err(invalid(format!(
                    "{other:?} is no scheme of this broker: use {FORMS}"
                )));
            }
        };
        let (authority, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, ""),
        };
        let (login, hosts) = match authority.rsplit_once('@') {
            Some((login, hosts)) => (Some(login), hosts),
            None => (None, authority),
        };
        let (user, password) = match login.map(|login| login.split_once(':').unwrap_or((login, "")))
        {
            Some((user, password)) => (Some(decode(user)?), Some(decode(password)?)),
            None => (None, None),
        };
        let some = |text: Option<String>| text.filter(|text| !text.is_empty());
        let mut place = Self {
            kind,
            tls,
            hosts: Vec::new(),
            user: some(user),
            password: some(password),
            db: 0,
            query: parse_query(query)?,
        };
        if place.user.is_some() && place.password.is_none() {
            return Err(invalid(
                "the URL has a user and no password: write user:password@, or :password@ for the default user".to_owned(),
            ));
        }
        place.read_path(path)?;
        let port = match place.kind {
            Kind::Sentinel(_) => SENTINEL_PORT,
            _ => PORT,
        };
        if !matches!(place.kind, Kind::Socket(_)) {
            place.hosts = hosts
                .split(',')
                .map(|host| parse_host(host, port))
                .collect::<Result<_, _>>()?;
        }
        if place.hosts.len() > 1 && place.kind == Kind::One {
            return Err(invalid(
                "the URL names several hosts: use redis+sentinel:// or redis+cluster:// for that"
                    .to_owned(),
            ));
        }
        Ok(place)
    }

    fn read_path(&mut self, path: &str) -> Result<(), BrokerError> {
        let mut parts = path
            .trim_start_matches('/')
            .split('/')
            .filter(|part| !part.is_empty());
        let db = match &mut self.kind {
            Kind::Socket(socket) => {
                if path.is_empty() {
                    return Err(invalid(format!("the URL names no socket: use {FORMS}")));
                }
                *socket = decode(path)?;
                let db = self.query.iter().position(|(name, _)| name == "db");
                return match db.map(|at| self.query.remove(at).1) {
                    Some(db) => self.read_db(&db),
                    None => Ok(()),
                };
            }
            Kind::Sentinel(master) => {
                let name = parts.next().ok_or_else(|| {
                    invalid(format!(
                        "the URL names no primary for the Sentinels to find: use {FORMS}"
                    ))
                })?;
                *master = decode(name)?;
                parts.next()
            }
            Kind::One => parts.next(),
            Kind::Cluster => None,
        };
        if parts.next().is_some() {
            return Err(invalid(format!(
                "the path of the URL has too many parts: use {FORMS}"
            )));
        }
        db.map_or(Ok(()), |db| self.read_db(db))
    }

    fn read_db(&mut self, db: &str) -> Result<(), BrokerError> {
        if db.contains('@') {
            // The rest of a password, most likely.
            return Err(invalid(
                "a '/' in a user or password is written as %2F".to_owned(),
            ));
        }
        self.db = db.parse().ok().filter(|db| *db >= 0).ok_or_else(|| {
            invalid(format!(
                "{db:?} is no number of a database: use 0, 1, 2 and so on, or leave it out"
            ))
        })?;
        Ok(())
    }

    /// Takes a parameter of the query out.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        let at = self.query.iter().position(|(key, _)| key == name)?;
        Some(self.query.remove(at).1)
    }

    /// The URL without secrets: no password, and no more of the query than the prefix, which the options add.
    pub(crate) fn describe(&self) -> String {
        let tls = if self.tls { "s" } else { "" };
        let hosts: Vec<String> = self
            .hosts
            .iter()
            .map(|(host, port)| {
                if host.contains(':') {
                    format!("[{host}]:{port}")
                } else {
                    format!("{host}:{port}")
                }
            })
            .collect();
        let hosts = hosts.join(",");
        let db = if self.db == 0 {
            String::new()
        } else {
            format!("/{}", self.db)
        };
        match &self.kind {
            Kind::One => format!("redis{tls}://{hosts}{db}"),
            Kind::Socket(path) => format!("redis+unix://{path}"),
            Kind::Sentinel(master) => format!("redis{tls}+sentinel://{hosts}/{master}{db}"),
            Kind::Cluster => format!("redis{tls}+cluster://{hosts}"),
        }
    }
}

fn parse_query(query: &str) -> Result<Vec<(String, String)>, BrokerError> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(value)?))
        })
        .collect()
}

fn parse_host(text: &str, default_port: u16) -> Result<(String, u16), BrokerError> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => (address, rest.strip_prefix(':')),
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    if host.is_empty() {
        return Err(invalid(format!("the URL names no host: use {FORMS}")));
    }
    let port = match port {
        Some(port) => port.parse().map_err(|_| {
            invalid(format!(
                "what follows the host {host:?} is no port; a password with '@', ':', '/' or '?' in it is written with %40, %3A, %2F or %3F"
            ))
        })?,
        None => default_port,
    };
    Ok((decode(host)?, port))
}

#[cfg(test)]
mod tests {
    use super::{Kind, Place};

    #[test]
    fn urls_name_a_place_or_say_what_is_wrong() {
        let place = |url: &str| Place::parse(url).unwrap();
        let one = place("redis://anna:p%40ss%2F@queue.example:7000/3?prefix=a%2Fb");
        assert_eq!(one.hosts, [("queue.example".to_owned(), 7000)]);
        assert_eq!(
            (one.user.as_deref(), one.password.as_deref(), one.db),
            (Some("anna"), Some("p@ss/"), 3)
        );
        assert_eq!(one.query, [("prefix".to_owned(), "a/b".to_owned())]);
        assert_eq!(place("rediss://[::1]").hosts, [("::1".to_owned(), 6379)]);
        assert_eq!(
            place("redis://:secret@localhost").password.as_deref(),
            Some("secret")
        );
        let sentinel = place("redis+sentinel://a,b:26380/mymaster/2");
        assert_eq!(sentinel.kind, Kind::Sentinel("mymaster".to_owned()));
        assert_eq!(
            sentinel.hosts,
            [("a".to_owned(), 26379), ("b".to_owned(), 26380)]
        );
        assert_eq!(sentinel.db, 2);
        assert_eq!(place("redis+unix:///run/redis.sock?db=4").db, 4);
        for (url, hint) in [
            ("localhost", "no scheme"),
            ("mysql://localhost", "no scheme of this broker"),
            ("redis://", "names no host"),
            (
                "redis://localhost/one",
                "\"one\" is no number of a database",
            ),
            ("redis://localhost/1/2", "too many parts"),
            ("redis://a,b", "names several hosts"),
            ("redis+sentinel://a", "names no primary"),
            ("redis+unix://", "names no socket"),
            ("redis://anna@localhost", "a user and no password"),
            ("redis://anna:pass/word@localhost", "written as %2F"),
        ] {
            let error = Place::parse(url).unwrap_err().to_string();
            assert!(error.contains(hint), "{url}: {error}");
        }
    }

    #[test]
    fn no_secret_is_told() {
        let url = "redis://anna:hunter2@localhost/1?sentinel_password=hunter2";
        let place = Place::parse(url).unwrap();
        for told in [place.describe(), format!("{place:?}")] {
            assert_eq!(told, "redis://localhost:6379/1");
        }
        for url in [
            "redis://anna:hunter2@",
            "redis://anna:hun/ter2@host",
            "redis://u:hunter2@host:port",
        ] {
            let error = Place::parse(url).unwrap_err().to_string();
            assert!(
                !error.contains("hunter2") && !error.contains("ter2"),
                "{error}"
            );
        }
    }
}
