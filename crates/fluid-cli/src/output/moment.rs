//! Instants and durations for people.

use std::time::Duration;

use fluid_core::duration;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

/// `3s ago`, `in 5m`, `now`.
pub(crate) fn relative(instant: Timestamp, now: Timestamp) -> String {
    let distance = now.duration_since(instant);
    let words = rough(distance.unsigned_abs());
    if distance.abs() < SignedDuration::from_secs(1) {
        "now".to_owned()
    } else if distance.is_positive() {
        format!("{words} ago")
    } else {
        format!("in {words}")
    }
}

/// [`relative`] of what may be missing.
pub(crate) fn ago(instant: Option<Timestamp>, now: Timestamp) -> String {
    instant.map_or_else(|| "-".to_owned(), |instant| relative(instant, now))
}

/// The instant in the local time zone, to the millisecond.
pub(crate) fn instant(instant: Timestamp) -> String {
    let local = instant.to_zoned(TimeZone::system());
    local.strftime("%Y-%m-%d %H:%M:%S%.3f %Z").to_string()
}

/// The time of day of the instant in the local time zone, to the millisecond; with the date on another day than
/// `now`.
pub(crate) fn time_of(instant: Timestamp, now: Timestamp) -> String {
    let [local, today] = [instant, now].map(|at| at.to_zoned(TimeZone::system()));
    let form = if local.date() == today.date() {
        "%H:%M:%S%.3f"
    } else {
        "%Y-%m-%d %H:%M:%S%.3f"
    };
    local.strftime(form).to_string()
}

/// How long something took, to three digits or so: `1.24s`, `35ms`, `2m 5s`.
pub(crate) fn lasted(time: Duration) -> String {
    if time < Duration::from_millis(10) {
        format!("{:.1}ms", time.as_secs_f64() * 1000.0)
    } else if time < Duration::from_secs(1) {
        format!("{}ms", time.as_millis())
    } else if time < Duration::from_secs(60) {
        format!("{:.2}s", time.as_secs_f64())
    } else {
        rough(time)
    }
}

/// The two largest units.
fn rough(time: Duration) -> String {
    let seconds = time.as_secs();
    let kept = match seconds {
        0..3600 => seconds,
        3600..86_400 => seconds - seconds % 60,
        _ => seconds - seconds % 3600,
    };
    let days = kept / 86_400;
    if days > 0 {
        let hours = kept % 86_400 / 3600;
        return if hours > 0 {
            format!("{days}d {hours}h")
        } else {
            format!("{days}d")
        };
    }
    duration::format(Duration::from_secs(kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_read_well() {
        let now: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let at = |seconds: i64| relative(now + SignedDuration::from_secs(seconds), now);
        assert_eq!(at(0), "now");
        assert_eq!(at(-5), "5s ago");
        assert_eq!(at(90), "in 1m 30s");
        assert_eq!(at(-3723), "1h 2m ago");
        assert_eq!(at(-200_000), "2d 7h ago");
        assert_eq!(lasted(Duration::from_micros(1500)), "1.5ms");
        assert_eq!(lasted(Duration::from_millis(1240)), "1.24s");
        assert_eq!(lasted(Duration::from_secs(125)), "2m 5s");
    }
}
