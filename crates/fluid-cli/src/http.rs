//! The dashboard and the API, served beside the consumer or alone.

#[cfg(feature = "http")]
mod listen;
#[cfg(feature = "http")]
mod options;

use std::net::SocketAddr;

use fluid_scheduler::TaskManager;
use tokio_util::sync::CancellationToken;

use crate::args::HttpArgs;
use crate::config::HttpAddress;
use crate::detector::Origin;
use crate::failure::Failure;
use crate::session::Session;

/// What answers on an address, or why nothing does.
#[derive(Debug)]
pub(crate) struct Http {
    /// As people type it; `None` where nothing is served.
    pub(crate) url: Option<String>,
    /// Why there, or why not.
    pub(crate) why: String,
    /// It was to be served, and could not.
    pub(crate) in_vain: bool,
    #[cfg(feature = "http")]
    server: Option<fluid_http::Server>,
    #[cfg(feature = "http")]
    metrics: Option<fluid_http::Metrics>,
}

impl Http {
    /// Listens where the flags, the environment, `fluid.toml` or the default say. `draining` is cancelled when the
    /// process begins to stop.
    ///
    /// # Errors
    /// When an address that was asked for can't be had.
    pub(crate) async fn open(
        session: &Session,
        args: &HttpArgs,
        manager: &TaskManager,
        draining: &CancellationToken,
    ) -> Result<Self, Failure> {
        let (wanted, origin) = wanted(session, args);
        let HttpAddress(Some(address)) = wanted else {
            return Ok(Self::none(format!("{origin} says so"), false));
        };
        Self::at(address, origin, session, args, manager, draining).await
    }

    #[cfg(feature = "http")]
    async fn at(
        address: SocketAddr,
        origin: Origin,
        session: &Session,
        args: &HttpArgs,
        manager: &TaskManager,
        draining: &CancellationToken,
    ) -> Result<Self, Failure> {
        use listen::Listening;
        let why = match origin {
            Origin::Default => "the default".to_owned(),
            origin => format!("{origin} says so"),
        };
        let mut options = options::options(session, args, address)?;
        options.draining = draining.clone();
        let metrics = fluid_http::Metrics::install();
        options.metrics.clone_from(&metrics);
        match listen::listen(address, origin, manager, options).await? {
            Listening::On(server, address) => Ok(Self {
                url: Some(format!("http://{address}/")),
                why,
                in_vain: false,
                server: Some(server),
                metrics,
            }),
            Listening::InVain(why) => Ok(Self::none(why, true)),
        }
    }

    #[cfg(not(feature = "http"))]
    #[expect(clippy::unused_async, reason = "as with the feature")]
    async fn at(
        _: SocketAddr,
        origin: Origin,
        _: &Session,
        _: &HttpArgs,
        _: &TaskManager,
        _: &CancellationToken,
    ) -> Result<Self, Failure> {
        if origin == Origin::Default {
            return Ok(Self::none("it is not in this build".to_owned(), false));
        }
        Err(Failure::usage("HTTP is not in this build")
            .because(format!("{origin} asks for it"))
            .help("say none, or use a build with the feature http"))
    }

    /// Nothing is served.
    pub(crate) fn none(why: String, in_vain: bool) -> Self {
        Self {
            url: None,
            why,
            in_vain,
            #[cfg(feature = "http")]
            server: None,
            #[cfg(feature = "http")]
            metrics: None,
        }
    }

    /// Answers until it is told to stop; returns at once where nothing is served.
    #[cfg(feature = "http")]
    pub(crate) async fn run(self, stop: CancellationToken) {
        if let Some(server) = self.server {
            let upkeep = async {
                if let Some(metrics) = &self.metrics {
                    metrics.upkeep(stop.clone()).await;
                }
            };
            tokio::join!(server.run(stop.clone()), upkeep);
        }
    }

    #[cfg(not(feature = "http"))]
    #[expect(clippy::unused_async, reason = "as with the feature")]
    pub(crate) async fn run(self, _: CancellationToken) {}
}

/// Which address, and who says so.
fn wanted(session: &Session, args: &HttpArgs) -> (HttpAddress, Origin) {
    let file = session.http.address;
    let file = file.map(|address| (address, Origin::File));
    let named = args.address.map(|address| (address, session.http_origin));
    let default = (HttpAddress::default(), Origin::Default);
    named.or(file).unwrap_or(default)
}
