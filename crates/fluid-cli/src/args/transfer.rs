//! `move`.

use clap::Args;

/// `move`.
#[derive(Debug, Args)]
pub(crate) struct MoveArgs {
    /// The broker to read: sqlite://FILE, redis://HOST or postgres://HOST/DATABASE, or env:NAME or file:PATH where its URL stands; nothing is changed there
    #[arg(long, value_name = "URL")]
    pub(crate) from: String,
    /// The broker to write, named in the same way; what is there already stays as it is
    #[arg(long, value_name = "URL")]
    pub(crate) to: String,
}
