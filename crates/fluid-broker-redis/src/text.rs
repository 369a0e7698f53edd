//! Text inside a record, whose fields tabs and line ends separate.

use std::borrow::Cow;

fn is_plain(byte: u8) -> bool {
    byte >= 0x20 && byte != b'%' && byte != 0x7f
}

/// Writes control characters, and the sign that does it, as `%xx`.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    if text.bytes().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match u8::try_from(c) {
            Ok(byte) if byte.is_ascii() && !is_plain(byte) => {
                escaped.push_str(&format!("%{byte:02x}"));
            }
            _ => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

/// What was [escaped](escape), as it was.
pub(crate) fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    percent_encoding::percent_decode_str(text).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use super::{escape, unescape};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_comes_back_and_breaks_no_record(text in any::<String>()) {
            let escaped = escape(&text);
            prop_assert!(!escaped.contains(['\n', '\t', '\r', '\0']));
            prop_assert_eq!(unescape(&escaped).into_owned(), text.clone());
        }
    }
}
