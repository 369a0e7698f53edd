//! Who asks.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

/// Who asks, as the guard found out before any handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The name of their token, or what a trusted proxy calls them; `None` where nobody is asked who they are.
    pub(crate) name: Option<String>,
    /// Whether they may change anything.
    pub(crate) may_change: bool,
    /// Whether they signed in here, so that they can sign out.
    pub(crate) signed_in: bool,
}

impl Caller {
    /// Somebody who was not asked who they are.
    pub(crate) fn anyone(may_change: bool) -> Self {
        Self {
            name: None,
            may_change,
            signed_in: false,
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let found = parts.extensions.get().cloned();
        // Nothing gets past the guard; should something, it changes nothing.
        Ok(found.unwrap_or_else(|| Self::anyone(false)))
    }
}
