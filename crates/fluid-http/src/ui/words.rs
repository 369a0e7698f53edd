//! Times, spans and numbers as people read them.

use std::fmt;
use std::time::Duration;

use askama::filters::HtmlSafe;
use fluid_core::RunId;
use jiff::{SignedDuration, Timestamp};

/// How much of an id is shown where there is little room: its end, since ids begin with the time.
const SHOWN: usize = 8;

/// The end of an id.
pub(super) fn short(run: RunId) -> String {
    let text = run.to_string();
    text[text.len() - SHOWN..].to_owned()
}

/// A span in its two largest units, and below a minute in the one that fits.
pub(super) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let two = |large: u64, one: &str, small: u64, other: &str| match small {
        0 => format!("{large} {one}"),
        _ => format!("{large} {one} {small} {other}"),
    };
    match seconds {
        0 => format!("{} ms", span.as_millis()),
        1..10 => format!("{:.1} s", span.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => two(seconds / 60, "min", seconds % 60, "s"),
        3600..86_400 => two(seconds / 3600, "h", seconds / 60 % 60, "min"),
        _ => two(seconds / 86_400, "d", seconds / 3600 % 24, "h"),
    }
}

/// A span in its largest unit alone.
pub(super) fn about(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// From one instant to another; nothing when they are the other way round.
pub(super) fn between(from: Timestamp, to: Timestamp) -> Duration {
    let span: SignedDuration = to.duration_since(from);
    span.try_into().unwrap_or_default()
}

/// A number with a mark after each thousand.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 run`, `2 runs`.
pub(super) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// A name as a part of a path.
pub(super) fn in_path(name: &str) -> String {
    let encoded = askama::filters::urlencode_strict(name);
    encoded.map_or_else(|never| match never {}, |encoded| encoded.to_string())
}

/// An instant in UTC, to the second.
pub(super) fn instant(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// An instant, seen from another: written as `12 s ago` or `in 3 min`, with the whole of it in the tooltip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct When {
    pub(super) at: Timestamp,
    pub(super) now: Timestamp,
}

impl When {
    pub(super) fn new(at: Timestamp, now: Timestamp) -> Self {
        Self { at, now }
    }

    pub(super) fn words(&self) -> String {
        if self.at > self.now {
            format!("in {}", about(between(self.now, self.at)))
        } else {
            format!("{} ago", about(between(self.at, self.now)))
        }
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, whole, words) = (self.at, instant(self.at), self.words());
        write!(f, r#"<time datetime="{at}" title="{whole}">{words}</time>"#)
    }
}

// Digits, units and the letters of RFC 3339: nothing of it is what anybody wrote.
impl HtmlSafe for When {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_as_exactly_as_one_reads_them() {
        let told = [
            (0, "0 ms"),
            (350, "350 ms"),
            (1_250, "1.2 s"),
            (59_900, "59 s"),
            (200_000, "3 min 20 s"),
            (7_500_000, "2 h 5 min"),
            (90_000_000, "1 d 1 h"),
        ];
        for (millis, words) in told {
            assert_eq!(span(Duration::from_millis(millis)), words);
        }
    }

    #[test]
    fn numbers_have_a_mark_after_each_thousand() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(count(number), text);
        }
    }

    #[test]
    fn an_instant_is_told_from_where_one_stands() {
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        let ago: Timestamp = "2026-01-31T11:57:30Z".parse().unwrap();
        assert_eq!(When::new(ago, now).words(), "2 min ago");
        assert_eq!(When::new(now, ago).words(), "in 2 min");
    }
}
