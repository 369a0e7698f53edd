//! Which broker and which executor, and why. A choice is made once, told in one log line and shown by `status`.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use fluid_core::ExecutorKind;
use serde::Serialize;

use crate::elsewhere;
use crate::failure::Failure;

/// Where a setting came from, most important first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A flag.
    Flag(&'static str),
    /// An environment variable.
    Variable(&'static str),
    /// `fluid.toml`.
    File,
    /// Nobody said anything.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) | Self::Variable(name) => f.write_str(name),
            Self::File => f.write_str("fluid.toml"),
            Self::Default => f.write_str("the default"),
        }
    }
}

/// The executor of `cpu_bound` tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ExecutorChoice {
    pub(crate) kind: ExecutorKind,
    /// Why it was chosen.
    pub(crate) why: String,
}

/// Chooses the executor of `cpu_bound` tasks. `in_cluster` is whether `KUBERNETES_SERVICE_HOST` is set.
///
/// # Errors
/// A usage error when one is asked for that is not in this build.
pub(crate) fn executor(
    wanted: Option<(ExecutorKind, Origin)>,
    in_cluster: bool,
) -> Result<ExecutorChoice, Failure> {
    let chosen = |kind, why: String| Ok(ExecutorChoice { kind, why });
    match wanted {
        Some((ExecutorKind::K8s, origin)) if !cfg!(feature = "k8s") => {
            Err(Failure::usage("executor k8s is not in this build")
                .because(format!("{origin} asks for it"))
                .help("use subprocess, or a build with the feature k8s"))
        }
        Some((kind, origin)) => chosen(kind, format!("{origin} says so")),
        None if in_cluster && cfg!(feature = "k8s") => chosen(
            ExecutorKind::K8s,
            "in a Kubernetes cluster: KUBERNETES_SERVICE_HOST is set".to_owned(),
        ),
        None if in_cluster => chosen(
            ExecutorKind::Subprocess,
            "k8s is not in this build, so subprocess, although KUBERNETES_SERVICE_HOST is set"
                .to_owned(),
        ),
        None => chosen(
            ExecutorKind::Subprocess,
            "not in a Kubernetes cluster: KUBERNETES_SERVICE_HOST is not set".to_owned(),
        ),
    }
}

/// A broker that this build can open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BrokerUrl {
    /// One SQLite file, by its absolute path.
    Sqlite(PathBuf),
    /// A Redis or a Valkey, one or several.
    Redis(ServerUrl),
    /// A database of PostgreSQL.
    Postgres(ServerUrl),
    /// The memory of this process.
    Memory,
}

impl BrokerUrl {
    /// The URL with its password, for child processes; `None` for what they can't share.
    pub(crate) fn exposed(&self) -> Option<String> {
        match self {
            Self::Sqlite(_) => Some(self.to_string()),
            Self::Redis(url) | Self::Postgres(url) => Some(url.expose().to_owned()),
            Self::Memory => None,
        }
    }
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Redis(url) | Self::Postgres(url) => f.write_str(&without_secrets(url.expose())),
            Self::Memory => f.write_str("memory:"),
        }
    }
}

/// The URL of a server, which may have a password in it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ServerUrl(String);

impl ServerUrl {
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Which store this is, whoever asks: a prefix or schema in the query counts, who logs in does not.
    #[cfg(feature = "k8s")]
    pub(crate) fn identity(&self) -> String {
        let query = self.0.split_once('?').map_or("", |(_, query)| query);
        let store = query.split('&').filter(|pair| {
            let name = pair.split('=').next().unwrap_or_default();
            !["user", "password"].contains(&name)
        });
        let store = store.collect::<Vec<_>>().join("&");
        let host = without_secrets(&self.0);
        format!("{}?{store}", host.replace("[redacted]@", ""))
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_secrets(&self.0))
    }
}

/// The chosen broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BrokerChoice {
    pub(crate) url: BrokerUrl,
    /// Why it was chosen.
    pub(crate) why: String,
}

/// The URL of the broker when nobody names one.
const DEFAULT_URL: &str = "sqlite://fluid.db";

/// Chooses the broker; its URL may stand [elsewhere](elsewhere::read). Relative paths of a flag or variable count from
/// `current`, those of the file and the default from `file`, the directory of `fluid.toml`, if there is one.
///
/// # Errors
/// A usage error when the URL is none or asks for a broker that is not in this build.
pub(crate) fn broker(
    wanted: Option<(&str, Origin)>,
    current: &Path,
    file: Option<&Path>,
) -> Result<BrokerChoice, Failure> {
    let (url, origin) = wanted.unwrap_or((DEFAULT_URL, Origin::Default));
    let base = match origin {
        Origin::Flag(_) | Origin::Variable(_) => current,
        Origin::File | Origin::Default => file.unwrap_or(current),
    };
    let why = match origin {
        Origin::Default => "the default".to_owned(),
        origin => format!("{origin} says so"),
    };
    let found = elsewhere::read(url, base).and_then(|found| match found {
        Cow::Borrowed(url) => parse(url, base),
        // What stands there may be all secret.
        Cow::Owned(found) => parse(&found, base).map_err(|_| {
            Failure::usage(format!("{url} does not hold the URL of a broker")).help(known())
        }),
    });
    let url = found.map_err(|failure| failure.because(format!("it comes from {origin}")))?;
    Ok(BrokerChoice { url, why })
}

fn parse(url: &str, base: &Path) -> Result<BrokerUrl, Failure> {
    if matches!(url, "memory:" | "memory://" | "memory") {
        return Ok(BrokerUrl::Memory);
    }
    let known = known();
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    match scheme {
        _ if cfg!(feature = "redis") && REDIS_SCHEMES.contains(&scheme) => {
            Ok(BrokerUrl::Redis(ServerUrl(url.to_owned())))
        }
        "postgres" | "postgresql" if cfg!(feature = "postgres") => {
            Ok(BrokerUrl::Postgres(ServerUrl(url.to_owned())))
        }
        "sqlite" if cfg!(feature = "sqlite") => {
            let path = url.strip_prefix("sqlite:").unwrap_or_default();
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() {
                return Err(Failure::usage(format!("broker {url:?} names no file"))
                    .help("write sqlite://fluid.db or sqlite:///var/lib/fluid/fluid.db"));
            }
            Ok(BrokerUrl::Sqlite(base.join(path)))
        }
        _ if REDIS_SCHEMES.contains(&scheme)
            || ["sqlite", "postgres", "postgresql"].contains(&scheme) =>
        {
            Err(Failure::usage(format!("broker {} is not in this build", shown(url))).help(known))
        }
        _ => Err(
            Failure::usage(format!("{} is not the URL of a broker", shown(url)))
                .help(format!("{known}; such as sqlite://fluid.db")),
        ),
    }
}

fn known() -> String {
    format!("this build has {}", KNOWN.join(", "))
}

/// What a URL may begin with that names a Redis.
const REDIS_SCHEMES: [&str; 7] = [
    "redis",
    "rediss",
    "redis+unix",
    "redis+sentinel",
    "rediss+sentinel",
    "redis+cluster",
    "rediss+cluster",
];

/// The brokers of this build.
const KNOWN: &[&str] = &[
    #[cfg(feature = "sqlite")]
    "sqlite://FILE",
    #[cfg(feature = "redis")]
    "redis://HOST",
    #[cfg(feature = "postgres")]
    "postgres://HOST/DATABASE",
    "memory:",
];

/// A URL to show: what stands before an `@`, and what follows a `?`, may be a password.
pub(crate) fn shown(url: &str) -> String {
    format!("{:?}", without_secrets(url))
}

fn without_secrets(url: &str) -> String {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), url),
    };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    match rest.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}[redacted]@{host}"),
        None => format!("{scheme}{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(failure: &Failure) -> String {
        anstream::adapter::strip_str(&failure.to_string()).to_string()
    }

    #[test]
    fn the_executor_is_chosen_and_the_reason_given() {
        let outside = executor(None, false).unwrap();
        assert_eq!(outside.kind, ExecutorKind::Subprocess);
        assert!(outside.why.contains("KUBERNETES_SERVICE_HOST is not set"));
        let inside = executor(None, true).unwrap();
        let (kind, why) = if cfg!(feature = "k8s") {
            (ExecutorKind::K8s, "KUBERNETES_SERVICE_HOST is set")
        } else {
            (
                ExecutorKind::Subprocess,
                "k8s is not in this build, so subprocess",
            )
        };
        assert_eq!(inside.kind, kind);
        assert!(inside.why.contains(why), "{}", inside.why);
        let asked = executor(
            Some((ExecutorKind::Inline, Origin::Flag("--executor"))),
            true,
        )
        .unwrap();
        assert_eq!(
            (asked.kind, asked.why.as_str()),
            (ExecutorKind::Inline, "--executor says so")
        );
        let asked = executor(
            Some((ExecutorKind::K8s, Origin::Variable("FLUID_EXECUTOR"))),
            false,
        );
        match asked {
            Ok(asked) => assert_eq!(asked.why, "FLUID_EXECUTOR says so"),
            Err(missing) => {
                let missing = text(&missing);
                assert!(!cfg!(feature = "k8s") && missing.contains("not in this build"));
                assert!(missing.contains("FLUID_EXECUTOR"), "{missing}");
            }
        }
    }

    #[test]
    fn the_broker_is_chosen_and_relative_paths_have_a_base() {
        let (current, file) = (Path::new("/here"), Path::new("/etc/app"));
        let url = |wanted| broker(wanted, current, Some(file)).unwrap().url.to_string();
        assert_eq!(url(None), "sqlite:///etc/app/fluid.db");
        assert_eq!(
            url(Some(("sqlite://a.db", Origin::File))),
            "sqlite:///etc/app/a.db"
        );
        assert_eq!(
            url(Some(("sqlite://a.db", Origin::Flag("--broker")))),
            "sqlite:///here/a.db"
        );
        assert_eq!(
            url(Some(("sqlite:///x/a.db", Origin::File))),
            "sqlite:///x/a.db"
        );
        assert_eq!(url(Some(("memory:", Origin::File))), "memory:");
    }

    #[test]
    #[cfg(feature = "k8s")]
    fn a_server_is_the_same_whoever_logs_in() {
        let identity = |url: &str| ServerUrl(url.to_owned()).identity();
        assert_eq!(
            identity("redis://me:hunter2@db:6379/1?prefix=a"),
            "redis://db:6379/1?prefix=a"
        );
        assert_eq!(
            identity("postgres://db/x?user=me&schema=s&password=hunter2"),
            "postgres://db/x?schema=s"
        );
    }

    #[test]
    #[cfg(all(feature = "redis", feature = "postgres"))]
    fn the_password_of_a_server_is_for_child_processes_alone() {
        for url in [
            "redis://:hunter2@localhost:6379",
            "rediss://me:hunter2@localhost/3",
            "postgres://me:hunter2@db/x?password=hunter2",
        ] {
            let wanted = Some((url, Origin::Flag("--broker")));
            let choice = broker(wanted, Path::new("/"), None).unwrap();
            assert!(!format!("{choice:?} {}", choice.url).contains("hunter2"));
            assert_eq!(choice.url.exposed().as_deref(), Some(url));
        }
    }

    #[test]
    fn a_broker_of_no_build_is_refused_without_its_password() {
        for url in ["mysql://me:hunter2@db", "hunter@2:x@y?hunter2"] {
            let error = broker(Some((url, Origin::Flag("--broker"))), Path::new("/"), None);
            let error = text(&error.unwrap_err());
            assert!(!error.contains("hunter2"), "{error}");
            assert!(error.contains("this build has "), "{error}");
        }
    }
}
