//! What a task allows: how it is retried, how often it may start, when two runs are the same.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::duration;
use crate::error::{ErrorKind, RetryHint, RunError};

/// When a failed attempt is followed by another one.
///
/// The delay before attempt *n + 1* is `delay × backoff^(n-1)`, at most `max_delay`, plus up to `jitter`
/// of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// How many attempts may fail before the run does; 1 by default, which means no retry.
    pub attempts: u32,
    /// The delay after the first failure; 1 s by default.
    #[serde(with = "duration")]
    pub delay: Duration,
    /// The factor between one delay and the next; 2 by default.
    pub backoff: f64,
    /// The longest delay; 1 h by default.
    #[serde(with = "duration")]
    pub max_delay: Duration,
    /// The share of the delay that is added at random, 0 to 1; 0.1 by default.
    pub jitter: f64,
    /// The kinds of error that are retried; by default all but parameters and aborted.
    pub on: Vec<ErrorKind>,
    /// How many attempts may be lost with their consumer before the run is interrupted; 3 by default,
    /// 0 for work that must not be started twice.
    pub interruptions: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 1,
            delay: Duration::from_secs(1),
            backoff: 2.0,
            max_delay: Duration::from_secs(3600),
            jitter: 0.1,
            on: vec![
                ErrorKind::Error,
                ErrorKind::Panic,
                ErrorKind::Timeout,
                ErrorKind::Exit,
                ErrorKind::Signal,
                ErrorKind::Start,
            ],
            interruptions: 3,
        }
    }
}

/// What follows a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterFailure {
    /// Another attempt after this delay.
    Retry(Duration),
    /// The run fails.
    Fail,
    /// The run is aborted.
    Abort,
}

impl RetryPolicy {
    /// Up to `attempts` attempts, with the default delays.
    pub fn attempts(attempts: u32) -> Self {
        Self {
            attempts: attempts.max(1),
            ..Self::default()
        }
    }

    /// The same policy with this delay after the first failure.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// What follows when `failures` attempts failed so far, the last one with `error`. `random` is a number
    /// from 0 to 1 that spreads the delay.
    pub fn after(&self, failures: u32, error: &RunError, random: f64) -> AfterFailure {
        match error.retry {
            RetryHint::Abort => return AfterFailure::Abort,
            RetryHint::Never => return AfterFailure::Fail,
            RetryHint::Policy | RetryHint::After(_) => {}
        }
        if failures >= self.attempts || !self.on.contains(&error.kind) {
            return AfterFailure::Fail;
        }
        if let RetryHint::After(delay) = error.retry {
            return AfterFailure::Retry(delay);
        }
        let exponent = i32::try_from(failures.saturating_sub(1)).unwrap_or(i32::MAX);
        let longest = self.max_delay.as_secs_f64();
        let base = (self.delay.as_secs_f64() * self.backoff.max(0.0).powi(exponent)).min(longest);
        let delay = base * (1.0 + self.jitter.clamp(0.0, 1.0) * random.clamp(0.0, 1.0));
        AfterFailure::Retry(Duration::try_from_secs_f64(delay).unwrap_or(self.max_delay))
    }
}

/// How often a task may start, across all consumers.
///
/// Kept by the generic cell rate algorithm (ITU-T I.371): up to `limit` starts at once, then one each
/// `period / limit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// How many starts per period; at least 1.
    pub limit: u32,
    /// The period.
    #[serde(with = "duration")]
    pub period: Duration,
    /// What happens to a run that comes too early; it waits by default.
    #[serde(default)]
    pub exceeded: RateExceeded,
}

/// What happens to a run that its task's rate limit does not let start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RateExceeded {
    /// It stays queued until the limit allows it.
    #[default]
    Wait,
    /// It ends as `rate_limited`.
    Reject,
}

impl RateLimit {
    /// `limit` starts per `period`; a run that comes too early waits.
    pub fn new(limit: u32, period: Duration) -> Self {
        Self {
            limit: limit.max(1),
            period,
            exceeded: RateExceeded::Wait,
        }
    }

    /// The time between two starts at the steady rate.
    pub fn interval(&self) -> Duration {
        self.period / self.limit.max(1)
    }

    /// Whether a start at `now` is allowed, all in microseconds since the epoch. `arrival` is the theoretical
    /// arrival time kept by the broker (0 at first). Allowed: the new arrival time to keep. Refused: when
    /// to ask again.
    ///
    /// # Errors
    /// The instant from which a start is allowed.
    pub fn admit(&self, arrival: i64, now: i64) -> Result<i64, i64> {
        let micros =
            |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX / 4);
        let interval = micros(self.interval());
        let tolerance = interval.saturating_mul(i64::from(self.limit.max(1)) - 1);
        let earliest = arrival.saturating_sub(tolerance);
        if now < earliest {
            return Err(earliest);
        }
        Ok(arrival.max(now).saturating_add(interval))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn error() -> RunError {
        RunError::new(ErrorKind::Error, "no")
    }

    #[test]
    fn delays_grow_up_to_the_maximum() {
        let policy = RetryPolicy {
            attempts: 6,
            jitter: 0.0,
            max_delay: Duration::from_secs(5),
            ..RetryPolicy::default()
        };
        let delays: Vec<_> = (1..=6).map(|n| policy.after(n, &error(), 0.5)).collect();
        let seconds = |s| AfterFailure::Retry(Duration::from_secs(s));
        assert_eq!(
            delays,
            [
                seconds(1),
                seconds(2),
                seconds(4),
                seconds(5),
                seconds(5),
                AfterFailure::Fail
            ]
        );
    }

    #[test]
    fn the_error_has_the_last_word() {
        let policy = RetryPolicy::attempts(3);
        let wait = Duration::from_secs(77);
        assert_eq!(
            policy.after(1, &error().with_retry(RetryHint::After(wait)), 0.0),
            AfterFailure::Retry(wait)
        );
        assert_eq!(
            policy.after(3, &error().with_retry(RetryHint::After(wait)), 0.0),
            AfterFailure::Fail
        );
        assert_eq!(
            policy.after(1, &error().with_retry(RetryHint::Never), 0.0),
            AfterFailure::Fail
        );
        assert_eq!(
            policy.after(1, &error().with_retry(RetryHint::Abort), 0.0),
            AfterFailure::Abort
        );
        assert_eq!(
            policy.after(1, &RunError::new(ErrorKind::Parameters, "no"), 0.0),
            AfterFailure::Fail
        );
    }

    proptest! {
        #[test]
        fn no_period_holds_more_starts_than_twice_the_limit_and_the_rate_is_kept(
            limit in 1u32..20, gaps in proptest::collection::vec(0i64..300_000, 1..400),
        ) {
            let rate = RateLimit::new(limit, Duration::from_secs(1));
            let (mut arrival, mut now, mut starts) = (0, 1_000_000_000, 0u32);
            let begin = now;
            for gap in gaps {
                now += gap;
                match rate.admit(arrival, now) {
                    Ok(next) => { arrival = next; starts += 1; }
                    Err(earliest) => {
                        prop_assert!(earliest > now);
                        prop_assert!(rate.admit(arrival, earliest).is_ok());
                    }
                }
            }
            let interval = i64::try_from(rate.interval().as_micros()).unwrap();
            let most = i64::from(limit) + (now - begin) / interval;
            prop_assert!(i64::from(starts) <= most, "{starts} starts, at most {most}");
        }
    }
}
