//! The log, on standard error.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use crate::args::LogFormat;
use crate::failure::Failure;

/// What is logged unless told otherwise, of a process whose log tells what it does. The Kubernetes client logs each
/// of many attempts in an outage, which the executor tells once.
pub(crate) const TOLD: &str = "info,kube_client=off,kube_runtime=off";
/// The same where only what is wrong is told.
pub(crate) const WARNED: &str = "warn,kube_client=off,kube_runtime=off";

/// Begins to log what passes the filter.
///
/// # Errors
/// A usage error when the filter is none.
pub(crate) fn begin(filter: &str, format: LogFormat) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        Failure::usage(format!("{filter:?} is not a log filter"))
            .caused_by(&error)
            .help("use error, warn, info, debug or trace, or such as info,fluid_scheduler=debug")
    })?;
    let colour =
        io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    // A second start in one process keeps the first subscriber: an application may have set its own.
    let _ = match format {
        LogFormat::Text => subscriber.with_ansi(colour).try_init(),
        LogFormat::Json => subscriber.json().try_init(),
    };
    Ok(())
}
