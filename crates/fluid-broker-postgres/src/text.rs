//! Texts as PostgreSQL can keep them: its `text` holds every character but U+0000.

use std::borrow::Cow;

/// Stands before a digit in place of a character that can't be written, or that would be taken for this one.
const MARK: char = '\u{1}';

/// The text as it is kept. Nearly every text is kept as it is.
pub(crate) fn to_kept(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| byte <= 1) {
        return Cow::Borrowed(text);
    }
    let mut kept = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            '\0' => kept.extend([MARK, '0']),
            MARK => kept.extend([MARK, '1']),
            other => kept.push(other),
        }
    }
    Cow::Owned(kept)
}

/// The text that was kept.
pub(crate) fn from_kept(kept: &str) -> Cow<'_, str> {
    if !kept.bytes().any(|byte| byte == 1) {
        return Cow::Borrowed(kept);
    }
    let mut text = String::with_capacity(kept.len());
    let mut characters = kept.chars();
    while let Some(character) = characters.next() {
        text.push(match character {
            MARK => match characters.next() {
                Some('0') => '\0',
                _ => MARK,
            },
            other => other,
        });
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_comes_back_and_has_no_nul() {
        for text in [
            "",
            "plain",
            "Grüße 世界",
            "\0",
            "\u{1}",
            "a\0\u{1}0\u{1}1b\0",
        ] {
            let kept = to_kept(text);
            assert!(!kept.contains('\0'), "{kept:?}");
            assert_eq!(from_kept(&kept), text);
        }
        assert!(matches!(to_kept("plain\u{2}"), Cow::Borrowed(_)));
    }
}
