//! Listening on the address, and what is said when that can't be.

use std::io;
use std::net::SocketAddr;

use fluid_http::{HttpOptions, Server, routes};
use fluid_scheduler::TaskManager;

use crate::detector::Origin;
use crate::failure::Failure;

/// How it went.
pub(super) enum Listening {
    /// On this address.
    On(Server, SocketAddr),
    /// The default address can't be had, for this reason.
    InVain(String),
}

/// # Errors
/// When the address was asked for and can't be had.
pub(super) async fn listen(
    address: SocketAddr,
    origin: Origin,
    manager: &TaskManager,
    options: HttpOptions,
) -> Result<Listening, Failure> {
    let limits = options.limits.clone();
    match Server::bind(address, routes(manager.clone(), options)).await {
        Ok(server) => {
            let address = server.address().unwrap_or(address);
            Ok(Listening::On(server.limits(limits), address))
        }
        Err(error) if origin == Origin::Default => {
            let why = because(&error);
            let why = format!("{address} can't be had: {why}; --http takes another");
            Ok(Listening::InVain(why))
        }
        Err(error) => Err(Failure::usage(format!("HTTP can't be served at {address}"))
            .because(because(&error))
            .because(format!("{origin} asks for it"))
            .help("name another address with --http, such as 127.0.0.1:7374, or none")),
    }
}

fn because(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "another process listens there".to_owned(),
        io::ErrorKind::PermissionDenied => "this user may not listen there".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        _ => error.to_string(),
    }
}
