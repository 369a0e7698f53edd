//! The differences that docs/from-aio-fluid.md lists, and no others.

use reqwest::Method;

use super::requests::Asked;

/// Why the two answer otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Difference {
    /// pydantic takes `"5"` for a number and `"yes"` for a truth value.
    Coercion,
    /// axum answers HEAD wherever it answers GET.
    Head,
    /// A cursor that is none is not met by aio-fluid.
    Cursor,
    /// `params` that are a text are not met by aio-fluid.
    ParamsText,
}

impl Difference {
    /// Their status and ours.
    pub(super) fn statuses(self) -> (u16, u16) {
        match self {
            Self::Coercion => (200, 422),
            Self::Head => (405, 200),
            Self::Cursor | Self::ParamsText => (500, 422),
        }
    }
}

/// How the answers to this request are documented to differ.
pub(super) fn documented(asked: &Asked) -> Option<Difference> {
    let body = asked.body.as_deref().unwrap_or_default();
    let json = asked
        .content_type
        .is_some_and(|kind| kind.ends_with("json") || kind.contains("json;"));
    let lax = ["{\"a\": \"5\"}", "{\"text\": \"x\", \"loud\": \"yes\"}"];
    if asked.method == Method::POST && json && lax.contains(&body) {
        return (!asked.address(&[]).contains("nope")).then_some(Difference::Coercion);
    }
    if asked.method == Method::HEAD {
        return Some(Difference::Head);
    }
    None.or(asked
        .says("params", "%22x%22")
        .then_some(Difference::ParamsText))
        .or(asked.says("cursor", "abc").then_some(Difference::Cursor))
}
