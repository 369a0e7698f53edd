//! `move`.

use clap::Args;

/// `move`.
#[derive(Debug, Args)]
pub(crate) struct MoveArgs {
    /// The broker to read: sqlite://FILE, redis://HOST or postgres://HOST/DATABASE; nothing is changed there
    #[arg(long, value_name = "URL")]
    pub(crate) from: String,
    /// The broker to write; what is there already stays as it is
    #[arg(long, value_name = "URL")]
    pub(crate) to: String,
}
