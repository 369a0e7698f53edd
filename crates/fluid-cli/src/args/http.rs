//! The flags of what serves HTTP.

use clap::Args;

use crate::config::HttpAddress;

/// How HTTP is served.
#[derive(Debug, Args)]
#[command(next_help_heading = "HTTP")]
pub(crate) struct HttpArgs {
    /// Where to serve the dashboard and the API, or `none` [default: 127.0.0.1:7373, if it is free]
    #[arg(
        long = "http",
        value_name = "ADDRESS",
        env = "FLUID_HTTP",
        hide_env_values = true
    )]
    pub(crate) address: Option<HttpAddress>,
}
