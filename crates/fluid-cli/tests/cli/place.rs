//! A folder with a `fluid.toml`, and the stock binary in it.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use assert_cmd::cargo::cargo_bin;
use serde_json::Value;
use tempfile::TempDir;

/// Longer than any single step takes, on a slow and busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// The folder in which one test works.
pub(crate) struct Place {
    folder: TempDir,
}

/// What a call said, and how it ended.
pub(crate) struct Said {
    call: String,
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Place {
    /// A folder with this `fluid.toml`.
    pub(crate) fn new(fluid_toml: &str) -> Self {
        let place = Self::empty();
        place.write("fluid.toml", fluid_toml);
        place
    }

    /// A folder with nothing in it.
    pub(crate) fn empty() -> Self {
        // Paths of the same length everywhere: messages break their lines by it.
        let folder = tempfile::tempdir_in("/tmp").unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    /// The stock binary, to be started in the folder with nothing but `PATH` in its environment.
    pub(crate) fn command(&self, args: &[&str]) -> std::process::Command {
        let mut command = std::process::Command::new(cargo_bin!("fluid-cli"));
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap());
        command.current_dir(self.path()).args(args);
        command
    }

    /// Calls the stock binary and waits for its end.
    pub(crate) fn fluid(&self, args: &[&str]) -> Said {
        self.call(args, &[], "")
    }

    /// The same with these environment variables, and this on standard input.
    pub(crate) fn call(&self, args: &[&str], env: &[(&str, &str)], input: &str) -> Said {
        let mut command = self.command(args);
        command.envs(env.iter().copied());
        let output = assert_cmd::Command::from_std(command)
            .write_stdin(input)
            .timeout(DEADLINE)
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let quoted = args.iter().map(|arg| {
            let plain = arg
                .chars()
                .all(|c| c.is_alphanumeric() || "-_./:,=".contains(c));
            if plain {
                (*arg).to_owned()
            } else {
                format!("'{arg}'")
            }
        });
        Said {
            call: quoted.collect::<Vec<_>>().join(" "),
            code: output.status.code().expect("it was not killed"),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// Calls it with `--output json` and reads the answer of a call that must go well.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let said = self.fluid(&[args, &["--output", "json"]].concat());
        assert_eq!(said.code, 0, "{said}");
        serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said}"))
    }
}

/// As a terminal would show it, with the exit code last.
impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "$ fluid-cli {}", self.call)?;
        f.write_str(&self.out)?;
        if !self.err.is_empty() {
            let lines = self
                .err
                .lines()
                .map(|line| format!("! {line}").trim_end().to_owned());
            writeln!(f, "{}", lines.collect::<Vec<_>>().join("\n"))?;
        }
        writeln!(f, "[{}]", self.code)
    }
}

/// Snapshots in which what differs from call to call has a name instead: ids, instants, times, hosts, processes.
macro_rules! assert_told {
    ($place:expr, $text:expr $(, @$inline:literal)?) => {{
        let folder = format!("{}", $place.path().display());
        let text = format!("{}", $text).replace(&folder, "[place]");
        insta::with_settings!({filters => $crate::place::FILTERS.to_vec(), omit_expression => true}, {
            insta::assert_snapshot!(text $(, @$inline)?);
        });
    }};
}
pub(crate) use assert_told;

const RUN: &str = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}";
/// What stands for what; the first that fits goes first.
pub(crate) const FILTERS: &[(&str, &str)] = &[
    (RUN, "[run]"),
    (r"runs show [0-9a-f]{8}`", "runs show [run]`"),
    (r"\t\d\d:\d\d:\d\d\.\d{3}\t", "\t[moment]\t"),
    (r"\t\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\t", "\t[moment]\t"),
    (r"(?m)^[0-9a-f]{8}\t", "[run]\t"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[instant]"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \S+", "[moment]"),
    (r"\((now|in [\dhms ]+|[\dhms ]+ ago)\)", "([when])"),
    (
        r"\b(now|in \d+[\dhms ]*|\d+[hms][\dhms ]* ago)(?m:$|\t)",
        "[when]\t",
    ),
    (r"\b\d+(\.\d+)?(ms|s)\b\t", "[time]\t"),
    (r"(took|success in) [\d.hms ]+", "$1 [time] "),
    (r"(?m)^(\w+) [0-9a-f]{8} ", "$1 [run] "),
    (r"\d+/(\d+)\t\d+\t\S+\t", "[running]/$1\t[pid]\t[host]\t"),
    (r"fluid-cli \d+\.\d+\.\d+", "fluid-cli [version]"),
    (r"pid \d+", "pid [pid]"),
    (r"[\w.-]+-[0-9a-f]{8}\b", "[consumer]"),
];
