//! Programs in Python that the routes are held against.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A Python that has tests/python/requirements.txt.
pub(crate) fn python() -> PathBuf {
    let python = std::env::var_os("FLUID_TEST_PYTHON").map(PathBuf::from);
    python.expect(
        "run `cargo xtask test`, which prepares a Python for this, or set FLUID_TEST_PYTHON to one that has \
         crates/fluid-http/tests/python/requirements.txt",
    )
}

/// A file of tests/python.
pub(crate) fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/python")
        .join(name)
}

/// A server in Python. It ends with this value: its standard input closes, and it is killed.
pub(crate) struct PythonServer {
    process: Child,
    pub(crate) port: u16,
}

impl PythonServer {
    /// Starts one that prints its port first.
    pub(crate) fn start(program: &str, environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(python());
        command.arg(file(program)).envs(environment.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let port = line.trim().parse();
        let port = port.unwrap_or_else(|_| panic!("{program} did not start: see its errors above"));
        Self { process, port }
    }
}

impl Drop for PythonServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
