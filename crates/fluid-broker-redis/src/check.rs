//! What a server must be before fluid works on it, and what its operator should hear.

use std::collections::HashMap;

use redis::{InfoDict, Value};

use crate::connect::Connection;
use crate::fault::{Fault, OLDEST, Outcome, code};

/// The version of the key layout that this build writes.
pub(crate) const SCHEMA: u32 = 1;

/// What a server says of itself in its greeting.
#[derive(Debug, Default, PartialEq, Eq)]
struct Greeting {
    server: String,
    version: String,
    role: String,
}

fn text(value: Value) -> String {
    match value {
        Value::BulkString(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Value::SimpleString(text) => text,
        _ => String::new(),
    }
}

impl Greeting {
    fn of(pairs: Vec<Value>) -> Self {
        let mut fields = HashMap::new();
        let mut pairs = pairs.into_iter();
        while let (Some(name), Some(value)) = (pairs.next(), pairs.next()) {
            fields.insert(text(name), text(value));
        }
        let mut take = |name: &str| fields.remove(name).unwrap_or_default();
        Self {
            server: take("server"),
            version: take("version"),
            role: take("role"),
        }
    }

    fn check(&self) -> Outcome<()> {
        let mut numbers = self
            .version
            .split('.')
            .map(|part| part.parse().unwrap_or(0));
        let version: (u32, u32) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        // Valkey began at 7.2, with all that is needed.
        if version < OLDEST {
            return Err(Fault::Old(self.version.clone()));
        }
        if self.role == "replica" || self.role == "slave" {
            return Err(Fault::Replica);
        }
        Ok(())
    }
}

/// Checks version and role: what a server may have changed since it was last seen.
pub(crate) async fn greet(connection: &mut Connection) -> Outcome<()> {
    match connection.ask_any::<Vec<Value>>(&redis::cmd("HELLO")).await {
        Ok(pairs) => Greeting::of(pairs).check(),
        // Before 6.2 the greeting needs an argument.
        Err(error) if error.to_string().contains("wrong number of arguments") => {
            Err(Fault::Old("6.0".to_owned()))
        }
        Err(error) if error.to_string().contains("unknown command") => {
            Err(Fault::Old("5 or earlier".to_owned()))
        }
        Err(error) => Err(error.into()),
    }
}

/// What the operator should hear once: whether memory that is used up or a restart loses runs.
pub(crate) async fn advise(connection: &mut Connection, broker: &str) {
    let info = match connection.ask_any::<InfoDict>(&redis::cmd("INFO")).await {
        Ok(info) => info,
        Err(error) => {
            let code = code(&error);
            tracing::debug!(%broker, %code, "the server does not tell of its memory and persistence");
            return;
        }
    };
    let policy: String = info.get("maxmemory_policy").unwrap_or_default();
    if policy.starts_with("allkeys") {
        tracing::warn!(
            %broker, maxmemory_policy = %policy,
            "when memory is used up this server evicts any key, and with it all runs: set maxmemory-policy to noeviction"
        );
    } else if !policy.is_empty() && policy != "noeviction" {
        tracing::warn!(
            %broker, maxmemory_policy = %policy,
            "fluid is made for maxmemory-policy noeviction: with this one the server may evict what keeps claims from being made twice"
        );
    }
    if info.get::<u8>("aof_enabled") == Some(0) {
        tracing::info!(
            %broker,
            "append-only file is off: a crash of the server loses what it took since its last snapshot (set appendonly yes)"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::Greeting;
    use crate::fault::Fault;

    fn greeting(version: &str, role: &str) -> Greeting {
        Greeting {
            server: "redis".to_owned(),
            version: version.to_owned(),
            role: role.to_owned(),
        }
    }

    #[test]
    fn old_servers_and_replicas_are_refused() {
        for version in ["6.2.0", "6.2.14", "7.0.15", "8.0.1", "10.0.0"] {
            greeting(version, "master").check().unwrap();
        }
        for version in ["6.0.16", "5.0.3", "2.8.24", ""] {
            assert!(
                matches!(greeting(version, "master").check(), Err(Fault::Old(found)) if found == version)
            );
        }
        assert!(matches!(
            greeting("7.0.15", "replica").check(),
            Err(Fault::Replica)
        ));
    }
}
