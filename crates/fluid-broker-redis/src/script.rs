//! The scripts that run inside the server: each operation of the broker is one of them.

use std::sync::LazyLock;

use redis::Cmd;

/// A script, and the hash by which the server knows it.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) code: &'static str,
    hash: LazyLock<String>,
}

macro_rules! script {
    ($name:ident, $($file:literal)+) => {
        pub(crate) static $name: Script = Script {
            code: concat!($(include_str!(concat!("scripts/", $file, ".lua")),)+),
            hash: LazyLock::new(|| $name.hash_code()),
        };
    };
}

script!(CANCEL, "base" "packs" "write" "record" "groups" "cancel");
script!(CLAIM, "base" "packs" "write" "record" "groups" "claim" "claim_due" "claim_next" "claim_lease");
script!(CONSUMERS, "base" "consumers");
script!(END, "base" "packs" "write" "record" "groups" "end");
script!(ENQUEUE, "base" "packs" "write" "insert" "enqueue");
script!(EXPORT, "base" "packs" "export");
script!(EXTEND, "base" "packs" "write" "record" "groups" "extend");
script!(FAREWELL, "base" "farewell");
script!(FIND, "base" "packs" "find");
script!(GET, "base" "packs" "get");
script!(HEARTBEAT, "base" "heartbeat");
script!(IMPORT, "base" "packs" "write" "record" "insert" "see" "import");
script!(LINES, "base" "lines");
script!(LOGS, "base" "packs" "write" "logs");
script!(NOW, "base" "now");
script!(PURGE, "base" "packs" "write" "record" "groups" "purge");
script!(SETTINGS, "base" "settings");
script!(STATS, "base" "stats");
script!(SWITCH, "base" "write" "switch");
script!(TICK, "base" "packs" "write" "insert" "see" "tick");
script!(TICKED, "base" "ticked");
script!(VERSION, "base" "version");

impl Script {
    fn hash_code(&self) -> String {
        redis::Script::new(self.code).get_hash().to_owned()
    }

    /// A command that runs it: by its hash, or whole for a server that does not know it yet.
    pub(crate) fn command(&self, whole: bool) -> Cmd {
        let mut command = redis::cmd(if whole { "EVAL" } else { "EVALSHA" });
        if whole {
            command.arg(self.code);
        } else {
            command.arg(&*self.hash);
        }
        command
    }
}
