//! The section `[http]` of `fluid.toml`.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer};

/// The port where people look for the dashboard.
const PORT: u16 = 7373;

/// The section `[http]`. What is `None` comes from the default; flags and environment go first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct HttpSettings {
    /// Where to serve HTTP; `127.0.0.1:7373` by default.
    pub address: Option<HttpAddress>,
    /// The file of tokens; a relative path counts from the directory of `fluid.toml`.
    pub tokens: Option<PathBuf>,
    /// Let everybody in.
    pub insecure: bool,
    /// Change nothing for anybody.
    pub read_only: bool,
    /// The names by which it is asked for.
    pub hosts: Option<Vec<String>>,
    /// The networks of proxies that are believed; this machine by default.
    pub proxies: Option<Vec<IpNet>>,
    /// The header in which such a proxy names who asks.
    pub user_header: Option<String>,
    /// What those may do whom a proxy names; they may read by default.
    pub user_access: Option<HttpAccess>,
}

/// What somebody may do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HttpAccess {
    /// Look.
    #[default]
    Read,
    /// Look and change.
    Full,
}

impl FromStr for HttpAccess {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "read" => Ok(Self::Read),
            "full" => Ok(Self::Full),
            _ => Err(format!("{text:?} is neither read nor full")),
        }
    }
}

/// Where to serve HTTP: an address and a port, or nowhere (`none`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpAddress(pub Option<SocketAddr>);

impl Default for HttpAddress {
    fn default() -> Self {
        Self(Some((Ipv4Addr::LOCALHOST, PORT).into()))
    }
}

impl fmt::Display for HttpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("none"),
        }
    }
}

impl FromStr for HttpAddress {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(None));
        }
        let local = text
            .strip_prefix("localhost:")
            .and_then(|port| port.parse().ok())
            .map(|port: u16| (Ipv4Addr::LOCALHOST, port).into());
        let address = local.or_else(|| text.parse().ok());
        address.map(|address| Self(Some(address))).ok_or_else(|| {
            format!("{text:?} is no address with a port, such as 127.0.0.1:{PORT}, [::1]:{PORT} or 0.0.0.0:80, nor none")
        })
    }
}

impl<'de> Deserialize<'de> for HttpAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_numbers_or_localhost_with_a_port_or_none() {
        let read = |text: &str| {
            text.parse::<HttpAddress>()
                .map(|address| address.to_string())
        };
        assert_eq!(read("localhost:80").unwrap(), "127.0.0.1:80");
        assert_eq!(read("[::1]:7373").unwrap(), "[::1]:7373");
        assert_eq!(read("none").unwrap(), "none");
        for wrong in ["", "80", "example.org:80", "127.0.0.1", "localhost:99999"] {
            assert!(read(wrong).unwrap_err().contains("127.0.0.1:7373"));
        }
    }
}
