//! Who is let in, and what they may do.

mod tokens;

use axum::http::HeaderName;

pub use tokens::{Tokens, TokensError};

/// Who is let in.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Access {
    /// Whoever is on this machine and asks for it by a name of this machine, with all rights; nobody is asked who they
    /// are. The default.
    #[default]
    Local,
    /// Whoever reaches it, with all rights. For a router that stands behind guards of your own.
    Open,
    /// Those who have a token, and those whom a proxy names.
    Known {
        /// The tokens; none if everybody comes through the proxy.
        tokens: Option<Tokens>,
        /// The header in which one of [`HttpOptions::proxies`](crate::HttpOptions::proxies) names who asks.
        users: Option<UserHeader>,
    },
}

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Look.
    Read,
    /// Look and change.
    Full,
}

impl std::str::FromStr for Role {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "read" => Ok(Self::Read),
            "full" => Ok(Self::Full),
            _ => Err(format!("{text:?} is neither read nor full")),
        }
    }
}

/// A header in which a proxy says whom it has let in. It is believed from
/// [`HttpOptions::proxies`](crate::HttpOptions::proxies) alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserHeader {
    /// Its name, such as `x-forwarded-user`.
    pub name: HeaderName,
    /// What those who come so may do.
    pub role: Role,
}
