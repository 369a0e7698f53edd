//! Who is let in, as flags, environment and `fluid.toml` say.

use std::net::SocketAddr;

use fluid_http::{Access, HttpOptions, Role, Tokens, UserHeader};

use crate::args::HttpArgs;
use crate::config::HttpAccess;
use crate::failure::Failure;
use crate::session::Session;

/// # Errors
/// When everybody would be let in from elsewhere and nobody said so, or the file of tokens can't be used.
pub(super) fn options(
    session: &Session,
    args: &HttpArgs,
    address: SocketAddr,
) -> Result<HttpOptions, Failure> {
    let file = &session.http;
    let mut options = HttpOptions::default();
    options.name.clone_from(&session.name);
    options.version.clone_from(&session.version);
    options.read_only = args.read_only || file.read_only;
    if let Some(hosts) = args.hosts.as_ref().or(file.hosts.as_ref()) {
        options.hosts.clone_from(hosts);
    }
    if let Some(proxies) = args.proxies.as_ref().or(file.proxies.as_ref()) {
        options.proxies.clone_from(proxies);
    }
    options.access = access(session, args, address)?;
    Ok(options)
}

fn access(session: &Session, args: &HttpArgs, address: SocketAddr) -> Result<Access, Failure> {
    let file = &session.http;
    let insecure = args.insecure || file.insecure;
    let tokens = args.tokens.as_ref().or(file.tokens.as_ref());
    let users = users(session, args)?;
    if tokens.is_some() || users.is_some() {
        if insecure {
            return Err(Failure::usage(
                "--insecure lets everybody in, and tokens or a header for users don't",
            )
            .help("say one of them, in flags, environment and fluid.toml together"));
        }
        let tokens = tokens.map(|path| {
            Tokens::from_file(path).map_err(|error| {
                Failure::usage("the tokens can't be used")
                    .caused_by(&error)
                    .help("a line of the file has a name, `read` or `full`, and the token, apart by spaces; such a token comes from `openssl rand -hex 24`")
            })
        });
        let tokens = tokens.transpose()?;
        return Ok(Access::Known { tokens, users });
    }
    if insecure {
        let what = if args.read_only || file.read_only {
            "read"
        } else {
            "read and change"
        };
        tracing::warn!(%address, "whoever reaches this address may {what} everything: insecure says so");
        return Ok(Access::Open);
    }
    if address.ip().to_canonical().is_loopback() {
        return Ok(Access::Local);
    }
    Err(Failure::usage(format!("HTTP is not served at {address} without tokens"))
        .because("others than this machine reach that address, and could read and change everything")
        .help("give a file of tokens with --http-tokens or FLUID_HTTP_TOKENS_FILE,\nserve at 127.0.0.1, or say --insecure where everybody may do everything"))
}

fn users(session: &Session, args: &HttpArgs) -> Result<Option<UserHeader>, Failure> {
    let file = &session.http;
    let Some(name) = args.user_header.as_ref().or(file.user_header.as_ref()) else {
        return Ok(None);
    };
    let name = name.parse().map_err(|_| {
        Failure::usage(format!("{name:?} is no name of a header"))
            .help("such a name is X-Forwarded-User, or Remote-User")
    })?;
    let role = match args.user_access.or(file.user_access).unwrap_or_default() {
        HttpAccess::Read => Role::Read,
        HttpAccess::Full => Role::Full,
    };
    Ok(Some(UserHeader { name, role }))
}
