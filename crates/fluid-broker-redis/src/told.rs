//! What goes wrong below the broker, in the words of [`BrokerError`].

use fluid_core::BrokerError;
use redis::{ErrorKind, RedisError};

use crate::fault::{Fault, OLDEST, code};

impl Fault {
    /// In the words of [`BrokerError`]. `before`: it had worked before, so that what is wrong may be set right while
    /// somebody waits.
    pub(crate) fn to_error(&self, broker: &str, before: bool) -> BrokerError {
        let broker = broker.to_owned();
        match self {
            Self::Redis(error) => self.redis(error, broker, before),
            Self::NoGreeting(within) => {
                // A server that speaks no TLS waits for the rest of a line.
                let tls = if broker.starts_with("rediss") {
                    ": see whether its port speaks TLS"
                } else {
                    ""
                };
                let within = fluid_core::duration::format(*within);
                unreachable(broker, format!("no server greeted us within {within}{tls}"))
            }
            Self::NoAnswer(within) => unreachable(
                broker,
                format!(
                    "the server did not answer within {}",
                    fluid_core::duration::format(*within)
                ),
            ),
            Self::FewReplicas { have, want } => unreachable(
                broker,
                format!("what was written is on {have} of the {want} replicas that were asked for"),
            ),
            Self::Replica => read_only(broker),
            Self::Old(version) => BrokerError::Invalid {
                broker,
                reason: format!(
                    "the server is version {version}, and fluid needs Redis {}.{} or later, or Valkey",
                    OLDEST.0, OLDEST.1
                ),
            },
            Self::TooNew(found) => BrokerError::SchemaTooNew {
                broker,
                found: *found,
                supported: crate::check::SCHEMA,
            },
            Self::Corrupt(reason) => BrokerError::Corrupt {
                broker,
                reason: reason.clone(),
            },
            Self::Options(reason) => BrokerError::Invalid {
                broker,
                reason: reason.clone(),
            },
        }
    }

    /// The one place where the server's error codes (<https://redis.io/docs/latest/develop/reference/protocol-spec/>)
    /// get their meaning.
    fn redis(&self, error: &RedisError, broker: String, before: bool) -> BrokerError {
        let said = error
            .detail()
            .map_or_else(|| error.to_string(), str::to_owned);
        let settled = |broker: String, reason: String| {
            if before {
                unreachable(broker, reason)
            } else {
                BrokerError::Invalid { broker, reason }
            }
        };
        if self.is_tls() {
            return settled(
                broker,
                format!(
                    "TLS does not work out ({said}): give the server's authority by ca=, or see whether its port speaks TLS"
                ),
            );
        }
        if said.contains("DB index") || said.contains("switch database") {
            return settled(
                broker,
                format!(
                    "the server has no such database ({said}): name another one in the URL, or raise databases in its configuration"
                ),
            );
        }
        if error.kind() == ErrorKind::AuthenticationFailed {
            return settled(
                broker,
                format!(
                    "the server refused the user or password ({said}): see the URL, and the server's ACL LIST"
                ),
            );
        }
        match code(error).as_str() {
            "WRONGPASS" => settled(
                broker,
                format!("the server refused the user or password ({said}): see the URL, and the server's ACL LIST"),
            ),
            "NOAUTH" => settled(
                broker,
                "the server asks for a password: put it into the URL, redis://user:password@host".to_owned(),
            ),
            "NOPERM" => settled(
                broker,
                format!("the server's ACL does not allow this user what fluid does ({said}): docs/redis.md has the rule to give it"),
            ),
            "READONLY" => read_only(broker),
            "OOM" => BrokerError::Full {
                broker,
                reason: "the server has used up its maxmemory, and takes no new runs: raise it, or purge finished runs".to_owned(),
            },
            "MISCONF" => BrokerError::Full {
                broker,
                reason: format!("the server can't write to its own disk ({said})"),
            },
            "LOADING" => unreachable(broker, "the server is still loading its data".to_owned()),
            "BUSY" => unreachable(broker, "a script holds the server up: see SCRIPT KILL".to_owned()),
            "NOREPLICAS" => unreachable(
                broker,
                "the server has fewer good replicas than its min-replicas-to-write, and takes no writes".to_owned(),
            ),
            "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" | "MOVED" | "ASK" => {
                unreachable(broker, format!("the servers are changing places ({said})"))
            }
            _ => match error.kind() {
                ErrorKind::MasterNameNotFoundBySentinel => {
                    settled(broker, format!("the Sentinels know no primary of this name ({said})"))
                }
                ErrorKind::Io | ErrorKind::Parse | ErrorKind::ClusterConnectionNotFound => BrokerError::Unreachable {
                    broker,
                    reason: match error.is_connection_dropped() && !error.is_connection_refusal() {
                        true if before => format!("the connection was lost ({said})"),
                        true => format!(
                            "the server closed the connection ({said}); one that speaks TLS needs a URL that begins with rediss"
                        ),
                        false => said,
                    },
                    source: Some(Box::new(error.clone())),
                },
                ErrorKind::InvalidClientConfig | ErrorKind::EmptySentinelList => settled(broker, said),
                _ if said.contains("unknown command") => BrokerError::Invalid {
                    broker,
                    reason: format!("the server lacks what fluid needs ({said}): use Redis 6.2 or later, or Valkey"),
                },
                _ if said.contains("user_script") => BrokerError::Corrupt {
                    broker,
                    reason: format!("what it keeps does not add up, as if keys had been evicted or deleted ({said})"),
                },
                _ if error.code() == Some("WRONGTYPE") => BrokerError::Corrupt {
                    broker,
                    reason: format!("a key is of another type than fluid gave it ({said})"),
                },
                _ => BrokerError::Other {
                    broker,
                    reason: said,
                    source: None,
                },
            },
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

fn read_only(broker: String) -> BrokerError {
    BrokerError::ReadOnly {
        broker,
        reason: "the server is a replica: name its primary in the URL, or the Sentinels by redis+sentinel://".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use redis::{RedisError, ServerError, Value};

    use super::{BrokerError, Fault};

    /// The error that a server's line stands for.
    fn said(line: &str) -> Fault {
        let value = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
        let Value::ServerError(error) = value else {
            panic!("{value:?}");
        };
        Fault::Redis(RedisError::from(ServerError::clone(&error)))
    }

    #[test]
    fn what_servers_say_is_told_apart_old_or_new() {
        for (line, transient, passes, hint) in [
            (
                "LOADING Redis is loading the dataset in memory",
                true,
                true,
                "still loading",
            ),
            (
                "BUSY Redis is busy running a script",
                true,
                true,
                "SCRIPT KILL",
            ),
            (
                "MASTERDOWN Link with MASTER is down",
                true,
                true,
                "changing places",
            ),
            (
                "CLUSTERDOWN The cluster is down",
                true,
                true,
                "changing places",
            ),
            (
                "NOREPLICAS Not enough good replicas to write.",
                true,
                true,
                "min-replicas-to-write",
            ),
            (
                "READONLY You can't write against a read only replica.",
                true,
                false,
                "is a replica",
            ),
            (
                "OOM command not allowed when used memory > 'maxmemory'.",
                true,
                false,
                "maxmemory",
            ),
            (
                "MISCONF Redis is configured to save RDB snapshots",
                true,
                false,
                "its own disk",
            ),
            (
                "NOPERM this user has no permissions to run the 'zadd' command",
                false,
                false,
                "ACL",
            ),
            (
                "WRONGPASS invalid username-password pair",
                false,
                false,
                "user or password",
            ),
            (
                "NOAUTH Authentication required.",
                false,
                false,
                "asks for a password",
            ),
            (
                "ERR DB index is out of range",
                false,
                false,
                "no such database",
            ),
            (
                "ERR unknown command 'EVALSHA'",
                false,
                false,
                "lacks what fluid needs",
            ),
            (
                "ERR Error running script (call to f_12ab): @user_script:1: @user_script: 1: -OOM command not allowed when used memory > 'maxmemory'.",
                true,
                false,
                "maxmemory",
            ),
            (
                "ERR Error running script (call to f_12ab): @user_script:7: -READONLY You can't write against a read only replica.",
                true,
                false,
                "is a replica",
            ),
            (
                "ERR user_script:439: attempt to index local 'l' (a nil value)",
                false,
                false,
                "does not add up",
            ),
        ] {
            let fault = said(line);
            let error = fault.to_error("redis://host:6379", false);
            assert!(error.to_string().contains(hint), "{line}: {error}");
            assert_eq!(error.is_transient(), transient, "{line}: {error:?}");
            assert_eq!(fault.passes(false), passes, "{line}");
        }
    }

    #[test]
    fn what_worked_before_is_waited_for() {
        for line in [
            "NOAUTH Authentication required.",
            "WRONGPASS invalid",
            "NOPERM no",
            "ERR DB index is out of range",
        ] {
            let (at_first, later) = (
                said(line).to_error("x", false),
                said(line).to_error("x", true),
            );
            assert!(
                matches!(at_first, BrokerError::Invalid { .. }),
                "{at_first:?}"
            );
            assert!(later.is_transient(), "{later:?}");
        }
        assert!(
            said("READONLY no").passes(true),
            "another server may have taken over"
        );
    }
}
