//! Sessions of browsers: a signed cookie, so that a restart and other processes with the same tokens know it too.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::COOKIE;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::access::{Role, Tokens};

const NAME: &str = "fluid_session";
/// How long a session lasts.
const LIFE: Duration = Duration::from_secs(12 * 3600);

/// The sessions that were ended before their time, as far as this process knows.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    ended: Mutex<HashMap<Uuid, i64>>,
}

/// A session that is good.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) name: String,
    pub(super) role: Role,
    id: Uuid,
    until: i64,
}

/// The header that begins a session for whoever showed this token; `None` where nobody has it.
///
/// It names no path: a browser then sends the cookie to what is beside and below `login`, whatever prefix a proxy or a
/// router of others put before that.
pub(super) fn begin(tokens: &Tokens, token: &str, secure: bool) -> Option<String> {
    let (tokens, index) = tokens.find(token)?;
    let until = Timestamp::now().as_second() + LIFE.as_secs().cast_signed();
    let said = format!("{until}.{}", Uuid::new_v4().simple());
    let sign = sign(tokens[index].key(), &said)?;
    let secure = if secure { "; Secure" } else { "" };
    Some(format!(
        "{NAME}={said}.{sign}; HttpOnly; SameSite=Strict; Max-Age={}{secure}",
        LIFE.as_secs()
    ))
}

/// The header that makes a browser forget it.
pub(super) fn forget() -> String {
    format!("{NAME}=; HttpOnly; SameSite=Strict; Max-Age=0")
}

impl Sessions {
    /// The session that a request shows.
    pub(super) fn find(&self, headers: &HeaderMap, tokens: &Tokens) -> Option<Session> {
        let cookies = headers.get_all(COOKIE).iter();
        let cookies = cookies.filter_map(|line| line.to_str().ok());
        let mut pairs = cookies.flat_map(|line| line.split(';'));
        pairs.find_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name == NAME).then(|| self.read(value, tokens)).flatten()
        })
    }

    fn read(&self, value: &str, tokens: &Tokens) -> Option<Session> {
        let (said, shown) = value.rsplit_once('.')?;
        let (until, id) = said.split_once('.')?;
        let (until, id) = (until.parse().ok()?, Uuid::try_parse(id).ok()?);
        let tokens = tokens.current();
        let signed = |key: &[u8]| {
            sign(key, said).is_some_and(|sign| sign.as_bytes().ct_eq(shown.as_bytes()).into())
        };
        let token = tokens.iter().find(|token| signed(token.key()))?;
        let over = Timestamp::now().as_second() >= until;
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        (!over && !ended.contains_key(&id)).then(|| Session {
            name: token.name.clone(),
            role: token.role,
            id,
            until,
        })
    }

    /// Ends a session for this process, even if somebody has kept a copy of the cookie.
    pub(super) fn end(&self, session: &Session) {
        let now = Timestamp::now().as_second();
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.retain(|_, until| *until > now);
        ended.insert(session.id, session.until);
    }
}

/// The signature, in hexadecimal digits.
fn sign(key: &[u8], said: &str) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(b"session of fluid: ");
    mac.update(said.as_bytes());
    let bytes = mac.finalize().into_bytes();
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
