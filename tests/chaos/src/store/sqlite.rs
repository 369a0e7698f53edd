//! A file, and no server.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use fluid_proof::Clocks;

use super::Store;

/// The broker's file.
pub(super) struct Sqlite {
    file: PathBuf,
}

impl Sqlite {
    pub(super) fn new(folder: &Path) -> std::io::Result<Self> {
        let folder = folder.canonicalize()?;
        Ok(Self {
            file: folder.join("chaos.db"),
        })
    }
}

impl Store for Sqlite {
    fn clocks(&self) -> Clocks {
        Clocks::Processes
    }

    fn url(&self, _: Option<SocketAddr>) -> String {
        format!("sqlite://{}", self.file.display())
    }
}
