//! `fluid.toml`: the settings and the command tasks of an application.

mod check;
mod explain;
mod fault;
mod form;
mod http;
mod nearest;
mod template;

use std::path::{Path, PathBuf};

use fluid_core::Task;

pub use fault::{ConfigError, Fault};
pub use form::{Limit, Settings};
pub use http::{HttpAccess, HttpAddress, HttpSettings};
pub(crate) use nearest::nearest;
pub(crate) use template::TEMPLATE;

/// The name that is looked for in the current directory.
pub const FILE_NAME: &str = "fluid.toml";

/// What a `fluid.toml` says.
#[derive(Debug)]
#[non_exhaustive]
pub struct Config {
    /// The file, as an absolute path.
    pub path: PathBuf,
    /// Its section `[fluid]`.
    pub settings: Settings,
    /// Its section `[http]`.
    pub http: HttpSettings,
    /// Its `[tasks.NAME]`, by name.
    pub tasks: Vec<Task>,
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`ConfigError`], with every fault that was found and the line and column of each.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let absolute = std::path::absolute(path).map_err(unreadable)?;
        Self::parse(&text, path, absolute)
    }

    /// Checks the text of a file. `shown` is the path that errors name; `path` is absolute, and what the file
    /// says is relative counts from its directory.
    ///
    /// # Errors
    /// See [`load`](Self::load).
    pub fn parse(text: &str, shown: &Path, path: PathBuf) -> Result<Self, ConfigError> {
        let faulty = |faults| ConfigError::faulty(shown, text, faults);
        let form = form::read(text).map_err(|fault| faulty(vec![fault]))?;
        let directory = path.parent().unwrap_or(Path::new("/")).to_owned();
        let tasks = check::tasks(form.tasks, &directory).map_err(faulty)?;
        let mut http = form.http;
        http.tokens = http.tokens.map(|file| directory.join(file));
        Ok(Self {
            path,
            settings: form.fluid,
            http,
            tasks,
        })
    }

    /// The directory of the file.
    pub fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }
}
