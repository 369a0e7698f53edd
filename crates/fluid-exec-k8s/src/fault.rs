//! What an answer of the API server that is no success means for those who asked.

use std::fmt;
use std::time::Duration;

use kube::core::Status;

/// Why a request was not granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nobody can answer now: ask again, after this long if the server said so.
    Away {
        why: String,
        after: Option<Duration>,
    },
    /// These credentials may not do that.
    Refused(String),
    /// A quota is used up.
    Quota(String),
    /// There is no such thing.
    NotFound(String),
    /// There is one of that name.
    Exists,
    /// What was asked for is not the state of things.
    Conflict(String),
    /// It will never be granted: what was asked for is wrong, or some policy forbids it.
    Denied(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists => f.write_str("there is one already"),
            Self::Away { why, .. }
            | Self::Refused(why)
            | Self::Quota(why)
            | Self::NotFound(why)
            | Self::Conflict(why)
            | Self::Denied(why) => f.write_str(why),
        }
    }
}

impl Fault {
    pub(crate) fn away(why: impl Into<String>) -> Self {
        Self::Away {
            why: why.into(),
            after: None,
        }
    }

    fn of(status: &Status) -> Self {
        let message = status.message.clone();
        match status.code {
            403 if message.contains("exceeded quota") => Self::Quota(message),
            // "User … cannot create resource …"; admission forbids in other words.
            403 if message.contains(" cannot ") => Self::Refused(message),
            404 => Self::NotFound(message),
            409 if status.reason == "AlreadyExists" => Self::Exists,
            // Two requests that count against the same quota.
            409 if message.contains("quota") => Self::away(message),
            409 => Self::Conflict(message),
            // 401: a token that has just run out, or a server that can't check it yet.
            401 | 408 | 410 | 429 | 500.. => Self::Away {
                why: message,
                after: status
                    .details
                    .as_ref()
                    .map(|details| u64::from(details.retry_after_seconds))
                    .filter(|seconds| *seconds > 0)
                    .map(Duration::from_secs),
            },
            _ => Self::Denied(message),
        }
    }
}

impl From<kube::Error> for Fault {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::of(&status),
            kube::Error::SerdeError(_)
            | kube::Error::BuildRequest(_)
            | kube::Error::FromUtf8(_) => Self::Denied(chain(&error)),
            other => Self::away(chain(&other)),
        }
    }
}

/// An error with its causes, each once.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: u16, reason: &str, message: &str) -> Fault {
        let status = Status::failure(message, reason).with_code(code);
        Fault::from(kube::Error::Api(status.boxed()))
    }

    #[test]
    fn a_refusal_a_quota_and_a_policy_are_told_apart() {
        let rbac = "jobs.batch is forbidden: User \"u\" cannot create resource \"jobs\" in API group \"batch\"";
        assert!(matches!(of(403, "Forbidden", rbac), Fault::Refused(_)));
        let quota =
            "jobs.batch \"x\" is forbidden: exceeded quota: q, requested: count/jobs.batch=1";
        assert!(matches!(of(403, "Forbidden", quota), Fault::Quota(_)));
        let hook = "admission webhook \"p\" denied the request: no";
        assert!(matches!(of(403, "Forbidden", hook), Fault::Denied(_)));
        assert!(matches!(of(422, "Invalid", "bad"), Fault::Denied(_)));
    }

    #[test]
    fn a_server_that_can_not_answer_is_asked_again() {
        for code in [401, 408, 410, 429, 500, 502, 503, 504] {
            assert!(
                matches!(of(code, "", "later"), Fault::Away { .. }),
                "{code}"
            );
        }
        let quota = "Operation cannot be fulfilled on resourcequotas \"q\"";
        assert!(matches!(of(409, "Conflict", quota), Fault::Away { .. }));
        assert_eq!(of(409, "AlreadyExists", "x"), Fault::Exists);
        assert!(matches!(of(404, "NotFound", "x"), Fault::NotFound(_)));
    }
}
