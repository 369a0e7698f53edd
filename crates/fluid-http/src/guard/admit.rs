//! Who is let through, as whom.

use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, AUTHORIZATION};
use axum::http::request::Parts;
use axum::http::{HeaderName, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::caller::Caller;
use super::client::Client;
use super::{Guard, login, place, refusal};
use crate::access::{Access, Role, Tokens, UserHeader};

/// What needs no token, and tells nothing that would need one.
const OPEN: [&str; 4] = ["/healthz", "/readyz", "/login", "/logout"];
/// What pages look like, `/login` included.
const ASSETS: &str = "/ui/assets/";

/// Lets through who may, with the [`Caller`] for the handlers; answers the others.
pub(super) async fn admit(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let options = &guard.site.options;
    let client = Client::of(&parts, options);
    if let Some(address) = client.address
        && let Err(wait) = guard.requests.take(address)
    {
        return refusal::too_many_requests(wait);
    }
    if let Err(problem) = place::check_host(&parts, &client, options) {
        return problem.into_response();
    }
    let known = match guard.who(&parts, &client) {
        Ok(known) => known,
        Err(answer) => return *answer,
    };
    if !place::only_looks(&parts.method) {
        if let Err(problem) = place::check_site(&parts, options, known.by_token) {
            return problem.into_response();
        }
        if !known.caller.may_change && !OPEN.contains(&parts.uri.path()) {
            return if options.read_only {
                refusal::read_only().into_response()
            } else {
                refusal::may_only_read().into_response()
            };
        }
    }
    parts.extensions.insert(known.caller);
    parts.extensions.insert(client);
    next.run(Request::from_parts(parts, body)).await
}

/// Who asks, and how that is known.
struct Known {
    caller: Caller,
    by_token: bool,
}

impl Guard {
    /// Who asks, or what they are answered who don't say so.
    fn who(&self, parts: &Parts, client: &Client) -> Result<Known, Box<Response>> {
        let options = &self.site.options;
        let may = |role: Role| role == Role::Full && !options.read_only;
        let anyone = |may_change| Known {
            caller: Caller::anyone(may_change),
            by_token: false,
        };
        let (tokens, users) = match &options.access {
            Access::Local | Access::Open => return Ok(anyone(may(Role::Full))),
            Access::Known { tokens, users } => (tokens.as_ref(), users.as_ref()),
        };
        if let Some((name, role)) = users.and_then(|users| by_proxy(users, parts, client)) {
            return Ok(Known {
                caller: Caller {
                    name: Some(name),
                    may_change: may(role),
                    signed_in: false,
                },
                by_token: false,
            });
        }
        if let Some(token) = bearer(parts) {
            let found = tokens.and_then(|tokens| tokens.find(token));
            let Some((tokens, index)) = found else {
                return Err(Box::new(self.wrong_token(client)));
            };
            return Ok(Known {
                caller: Caller {
                    name: Some(tokens[index].name.clone()),
                    may_change: may(tokens[index].role),
                    signed_in: false,
                },
                by_token: true,
            });
        }
        let session = tokens.and_then(|tokens| self.sessions.find(&parts.headers, tokens));
        if let Some(session) = session {
            return Ok(Known {
                caller: Caller {
                    name: Some(session.name),
                    may_change: may(session.role),
                    signed_in: true,
                },
                by_token: false,
            });
        }
        let path = parts.uri.path();
        if OPEN.contains(&path) || path.starts_with(ASSETS) {
            return Ok(anyone(false));
        }
        Err(Box::new(who_are_you(parts, tokens)))
    }

    fn wrong_token(&self, client: &Client) -> Response {
        let taken = client.address.map(|address| self.guesses.take(address));
        match taken {
            Some(Err(wait)) => refusal::too_many_requests(wait),
            Some(Ok(())) | None => refusal::wrong_token(),
        }
    }
}

fn bearer(parts: &Parts) -> Option<&str> {
    let said = parts.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = said.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Whom a trusted proxy names, once.
fn by_proxy(users: &UserHeader, parts: &Parts, client: &Client) -> Option<(String, Role)> {
    if !client.proxied {
        return None;
    }
    let mut names = parts.headers.get_all(&users.name).iter();
    let (Some(name), None) = (names.next(), names.next()) else {
        return None;
    };
    let name = name.to_str().ok().map(str::trim)?;
    (!name.is_empty()).then(|| (name.to_owned(), users.role))
}

/// Browsers are led to where they can sign in, programs are told.
fn who_are_you(parts: &Parts, tokens: Option<&Tokens>) -> Response {
    let has = |name: HeaderName, part: &str| {
        let value = parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok());
        value.is_some_and(|value| value.contains(part))
    };
    let is_page = parts.method == Method::GET && has(ACCEPT, "text/html");
    let is_part = parts.headers.contains_key("hx-request");
    if tokens.is_none() || !is_page && !is_part {
        refusal::not_signed_in()
    } else if is_part {
        login::lead_part_there(parts)
    } else {
        login::lead_there(parts)
    }
}
