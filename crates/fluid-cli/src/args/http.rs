//! The flags of what serves HTTP.

use std::path::PathBuf;

use clap::Args;
use ipnet::IpNet;

use crate::config::{HttpAccess, HttpAddress};

/// How HTTP is served.
#[derive(Debug, Args)]
#[cfg_attr(not(feature = "http"), allow(dead_code, reason = "the flags stay"))]
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
    /// A file of tokens, one a line: a name, `read` or `full`, and the token. An address that others reach needs it
    #[arg(
        long = "http-tokens",
        value_name = "FILE",
        env = "FLUID_HTTP_TOKENS_FILE",
        hide_env_values = true
    )]
    pub(crate) tokens: Option<PathBuf>,
    /// Let everybody in who reaches the address, with all rights and without a token
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Change nothing for anybody
    #[arg(long = "http-read-only")]
    pub(crate) read_only: bool,
    /// The names by which it is asked for, by comma, such as fluid.example.org behind a proxy
    #[arg(
        long = "http-hosts",
        value_name = "NAMES",
        env = "FLUID_HTTP_HOSTS",
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub(crate) hosts: Option<Vec<String>>,
    /// The networks of proxies that are believed when they say who asks, and from where [default: this machine]
    #[arg(
        long = "http-proxies",
        value_name = "NETWORKS",
        env = "FLUID_HTTP_PROXIES",
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub(crate) proxies: Option<Vec<IpNet>>,
    /// The header in which such a proxy names who asks, such as X-Forwarded-User
    #[arg(
        long = "http-user-header",
        value_name = "NAME",
        env = "FLUID_HTTP_USER_HEADER",
        hide_env_values = true
    )]
    pub(crate) user_header: Option<String>,
    /// What those may do whom a proxy names: read or full [default: read]
    #[arg(
        long = "http-user-access",
        value_name = "ACCESS",
        env = "FLUID_HTTP_USER_ACCESS",
        hide_env_values = true
    )]
    pub(crate) user_access: Option<HttpAccess>,
}
