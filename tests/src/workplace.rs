//! A folder with a fluid.toml, and the stock binary in it.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// The folder in which one test works; deleted when dropped.
#[derive(Debug)]
pub struct Workplace {
    folder: TempDir,
}

impl Workplace {
    /// A fresh folder with this `fluid.toml`.
    ///
    /// # Panics
    /// When the folder can't be made.
    #[expect(clippy::expect_used, reason = "only tests call this")]
    pub fn new(fluid_toml: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("fluid.toml"), fluid_toml).expect("fluid.toml");
        Self { folder }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The stock binary, to be started in the folder with these arguments and a clean environment.
    pub fn fluid(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.current_dir(self.path()).args(arguments);
        let ours = |name: &str| name.starts_with("FLUID_") || name.starts_with("KUBERNETES_");
        for (name, _) in std::env::vars().filter(|(name, _)| ours(name)) {
            command.env_remove(name);
        }
        // Other tests may have the usual port.
        command.env("FLUID_HTTP", "none");
        command
    }

    /// Runs the stock binary to its end; what it printed on standard output.
    ///
    /// # Panics
    /// When it does not end with success.
    #[expect(clippy::panic, reason = "only tests call this")]
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self.fluid(arguments).output();
        let output = output.unwrap_or_else(|error| panic!("fluid-cli {arguments:?}: {error}"));
        let (said, complained) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(
            output.status.success(),
            "fluid-cli {arguments:?} ended with {}:\n{said}\n{complained}",
            output.status
        );
        said.into_owned()
    }

    /// Runs the stock binary to its end; what it printed on standard output, read as JSON.
    ///
    /// # Panics
    /// When it does not end with success, or printed something else than JSON.
    #[expect(clippy::panic, reason = "only tests call this")]
    pub fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let said = self.run(&[&["--output", "json"], arguments].concat());
        serde_json::from_str(&said)
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}:\n{said}"))
    }
}

/// The stock binary, built by the same cargo call as this test.
///
/// # Panics
/// When it was not built.
pub(crate) fn binary() -> PathBuf {
    let test = std::env::current_exe().unwrap_or_default();
    let folder = test
        .ancestors()
        .find(|folder| folder.join("fluid-cli").is_file());
    let Some(folder) = folder else {
        unreachable!(
            "build the stock binary first: `cargo build --bins`, or run `cargo xtask test`"
        )
    };
    folder.join("fluid-cli")
}
