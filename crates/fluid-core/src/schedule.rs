//! When a task runs by itself: every so often, or by a cron expression in a time zone.
//!
//! The instants of a schedule, its *ticks*, depend on nothing but the schedule, so any number of schedulers
//! that never talk to one another name the same instants, and a broker can accept each tick once.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use croner::errors::CronError;
use croner::parser::{CronParser, Seconds};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::duration;
use crate::id::TaskName;

/// A schedule that can't be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// The interval is too short to keep.
    #[error("a schedule can't fire every {}: the shortest interval is 1ms", duration::format(*.0))]
    TooShort(Duration),
    /// The jitter is so long that ticks would overtake one another.
    #[error("a jitter of {} is too long: it must be shorter than the interval of {}", duration::format(*.jitter), duration::format(*.delta))]
    JitterTooLong {
        /// The jitter asked for.
        jitter: Duration,
        /// The interval it must be shorter than.
        delta: Duration,
    },
    /// The cron expression has a fault.
    #[error(
        "{expression:?} is not a cron expression: {reason}; expected five fields (minute hour day month weekday), or six with seconds first"
    )]
    Cron {
        /// What was written.
        expression: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The cron expression names no instant that will ever be, such as the 30th of February.
    #[error("the cron expression {0:?} never comes true")]
    Never(String),
    /// No such time zone.
    #[error("{0:?} is not an IANA time zone such as Europe/Zurich or UTC")]
    TimeZone(String),
}

/// When a task runs by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "ScheduleForm", try_from = "ScheduleForm")]
#[non_exhaustive]
pub enum Schedule {
    /// At a fixed interval.
    Every(Every),
    /// By a cron expression.
    Cron(Cron),
}

/// Ticks at a fixed interval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Every {
    delta: Duration,
    delay: Duration,
    jitter: Duration,
}

/// Ticks by a cron expression in a time zone.
#[derive(Debug, Clone)]
pub struct Cron {
    expression: String,
    pattern: Box<croner::Cron>,
    zone: TimeZone,
    jitter: Duration,
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.expression == other.expression
            && self.zone == other.zone
            && self.jitter == other.jitter
    }
}

impl Schedule {
    /// Every `delta`, counted from the Unix epoch: a schedule of one hour ticks at the full hour in UTC.
    ///
    /// # Errors
    /// When `delta` is shorter than a millisecond.
    pub fn every(delta: Duration) -> Result<Self, ScheduleError> {
        if delta < Duration::from_millis(1) {
            return Err(ScheduleError::TooShort(delta));
        }
        Ok(Self::Every(Every {
            delta,
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
        }))
    }

    /// By a cron expression of five fields, or six with seconds first, in the time zone of this IANA name.
    ///
    /// At a change of daylight-saving time it does what Vixie cron does: a fixed time that the clock jumps
    /// over runs once right after the jump, a fixed time that the clock shows twice runs at the first, and
    /// an interval such as `*/15` keeps its pace.
    ///
    /// # Errors
    /// When the expression or the time zone is none.
    pub fn cron(expression: &str, zone: &str) -> Result<Self, ScheduleError> {
        let fault = |reason: String| ScheduleError::Cron {
            expression: expression.to_owned(),
            reason,
        };
        let pattern = CronParser::builder()
            .seconds(Seconds::Optional)
            .build()
            .parse(expression)
            .map_err(|error| fault(reason(error)))?;
        let zone = TimeZone::get(zone).map_err(|_| ScheduleError::TimeZone(zone.to_owned()))?;
        let schedule = Self::Cron(Cron {
            expression: expression.to_owned(),
            pattern: Box::new(pattern),
            zone,
            jitter: Duration::ZERO,
        });
        if schedule.next_after(Timestamp::now()).is_none() {
            return Err(ScheduleError::Never(expression.to_owned()));
        }
        Ok(schedule)
    }

    /// Shifts every tick of [`every`](Self::every) by `delay`; a cron expression already says when and is left as it is.
    #[must_use]
    pub fn with_delay(mut self, by: Duration) -> Self {
        if let Self::Every(every) = &mut self {
            every.delay = by;
        }
        self
    }

    /// Makes each run due up to `by` later than its tick, by an amount that is the same for every scheduler.
    ///
    /// # Errors
    /// When `by` is not shorter than the interval of an [`every`](Self::every) schedule.
    pub fn with_jitter(mut self, by: Duration) -> Result<Self, ScheduleError> {
        match &mut self {
            Self::Every(every) if by >= every.delta => {
                return Err(ScheduleError::JitterTooLong {
                    jitter: by,
                    delta: every.delta,
                });
            }
            Self::Every(every) => every.jitter = by,
            Self::Cron(cron) => cron.jitter = by,
        }
        Ok(self)
    }

    /// The first tick later than `instant`, or `None` when there is none any more.
    pub fn next_after(&self, instant: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Every(every) => every.next_after(instant),
            Self::Cron(cron) => {
                let from = instant.to_zoned(cron.zone.clone());
                let next = cron.pattern.find_next_occurrence(&from, false).ok()?;
                Some(next.timestamp())
            }
        }
    }

    /// When the run of a tick is due: the tick itself, plus the jitter's share for this task and tick.
    pub fn due(&self, task: &TaskName, tick: Timestamp) -> Timestamp {
        let jitter = match self {
            Self::Every(every) => every.jitter,
            Self::Cron(cron) => cron.jitter,
        };
        if jitter.is_zero() {
            return tick;
        }
        let text = format!("{task} {tick}");
        tick.checked_add(jitter.mul_f64(share_of(text.as_bytes())))
            .unwrap_or(tick)
    }
}

/// What is wrong with an expression, without the parser's headings.
fn reason(error: CronError) -> String {
    let text = match error {
        CronError::InvalidPattern(text)
        | CronError::IllegalCharacters(text)
        | CronError::ComponentError(text) => text,
        other => other.to_string(),
    };
    let mut letters = text.trim_end_matches('.').chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(letters).collect()
    })
}

/// A number from 0 to 1 that depends on `bytes` alone, in every build: FNV-1a (RFC 9923), high bits.
fn share_of(bytes: &[u8]) -> f64 {
    let hash = bytes.iter().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    });
    f64::from(hash) / f64::from(u32::MAX)
}

impl Every {
    fn next_after(&self, instant: Timestamp) -> Option<Timestamp> {
        let delta = i128::try_from(self.delta.as_nanos()).ok()?;
        let delay = i128::try_from(self.delay.as_nanos()).ok()? % delta;
        let since = instant.as_nanosecond() - delay;
        let next = (since.div_euclid(delta) + 1).checked_mul(delta)? + delay;
        Timestamp::from_nanosecond(next).ok()
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every(every) => write!(f, "every {}", duration::format(every.delta)),
            Self::Cron(cron) => {
                let zone = cron.zone.iana_name().unwrap_or("UTC");
                write!(f, "cron {:?} {zone}", cron.expression)
            }
        }
    }
}

/// How a schedule is written in a file or an API answer: `{ every = "5m", jitter = "10s" }` or
/// `{ cron = "0 3 * * *", timezone = "Europe/Zurich" }`.
#[derive(Serialize, Deserialize, Clone)]
#[serde(untagged, deny_unknown_fields)]
enum ScheduleForm {
    Every(EveryForm),
    Cron(CronForm),
}

#[derive(Serialize, Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct EveryForm {
    #[serde(with = "duration")]
    every: Duration,
    #[serde(
        default,
        with = "duration::optional",
        skip_serializing_if = "Option::is_none"
    )]
    delay: Option<Duration>,
    #[serde(
        default,
        with = "duration::optional",
        skip_serializing_if = "Option::is_none"
    )]
    jitter: Option<Duration>,
}

#[derive(Serialize, Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct CronForm {
    cron: String,
    #[serde(default = "utc")]
    timezone: String,
    #[serde(
        default,
        with = "duration::optional",
        skip_serializing_if = "Option::is_none"
    )]
    jitter: Option<Duration>,
}

fn utc() -> String {
    "UTC".to_owned()
}

fn written(duration: Duration) -> Option<Duration> {
    (!duration.is_zero()).then_some(duration)
}

impl From<Schedule> for ScheduleForm {
    fn from(schedule: Schedule) -> Self {
        match schedule {
            Schedule::Every(every) => Self::Every(EveryForm {
                every: every.delta,
                delay: written(every.delay),
                jitter: written(every.jitter),
            }),
            Schedule::Cron(cron) => Self::Cron(CronForm {
                cron: cron.expression,
                timezone: cron.zone.iana_name().unwrap_or("UTC").to_owned(),
                jitter: written(cron.jitter),
            }),
        }
    }
}

impl TryFrom<ScheduleForm> for Schedule {
    type Error = ScheduleError;
    fn try_from(form: ScheduleForm) -> Result<Self, ScheduleError> {
        match form {
            ScheduleForm::Every(form) => Schedule::every(form.every)?
                .with_delay(form.delay.unwrap_or_default())
                .with_jitter(form.jitter.unwrap_or_default()),
            ScheduleForm::Cron(form) => Schedule::cron(&form.cron, &form.timezone)?
                .with_jitter(form.jitter.unwrap_or_default()),
        }
    }
}

/// What to do about ticks that came while no scheduler was there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MissedTicks {
    /// Let them go.
    Skip,
    /// Fire the latest of them, once.
    #[default]
    Once,
    /// Fire each of them, oldest first, at most [`MissedTicks::MAX_ALL`].
    All,
}

impl MissedTicks {
    /// The most missed ticks that [`MissedTicks::All`] fires for one task at one start.
    pub const MAX_ALL: usize = 1000;
}

impl FromStr for MissedTicks {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "skip" => Ok(Self::Skip),
            "once" => Ok(Self::Once),
            "all" => Ok(Self::All),
            _ => Err(format!(
                "{word:?} is no policy for missed ticks: use skip, once or all"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ts(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn ticks(schedule: &Schedule, from: &str, count: usize) -> Vec<String> {
        let mut at = ts(from);
        (0..count)
            .map(|_| {
                at = schedule.next_after(at).unwrap();
                at.to_string()
            })
            .collect()
    }

    #[test]
    fn an_interval_ticks_on_a_grid_that_every_scheduler_knows() {
        let hourly = Schedule::every(Duration::from_secs(3600)).unwrap();
        assert_eq!(
            ticks(&hourly, "2026-01-01T10:20:30.5Z", 2),
            ["2026-01-01T11:00:00Z", "2026-01-01T12:00:00Z"]
        );
        let shifted = hourly.with_delay(Duration::from_secs(90));
        assert_eq!(
            ticks(&shifted, "2026-01-01T11:00:00Z", 1),
            ["2026-01-01T11:01:30Z"]
        );
    }

    #[test]
    fn spring_forward_runs_a_skipped_time_once() {
        let daily = Schedule::cron("30 2 * * *", "Europe/Zurich").unwrap();
        // 2026-03-29: 02:00 CET becomes 03:00 CEST, so 02:30 does not exist.
        let seen = ticks(&daily, "2026-03-28T12:00:00Z", 2);
        assert_eq!(seen, ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]);
    }

    #[test]
    fn fall_back_runs_a_repeated_time_once() {
        let daily = Schedule::cron("30 2 * * *", "Europe/Zurich").unwrap();
        // 2026-10-25: 03:00 CEST becomes 02:00 CET, so 02:30 is shown twice.
        let seen = ticks(&daily, "2026-10-24T12:00:00Z", 2);
        assert_eq!(seen, ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
    }

    #[test]
    fn an_interval_in_cron_keeps_its_pace_through_the_change() {
        let quarters = Schedule::cron("*/30 * * * *", "Europe/Zurich").unwrap();
        assert_eq!(
            ticks(&quarters, "2026-10-25T00:00:00Z", 4),
            [
                "2026-10-25T00:30:00Z",
                "2026-10-25T01:00:00Z",
                "2026-10-25T01:30:00Z",
                "2026-10-25T02:00:00Z"
            ]
        );
    }

    #[test]
    fn seconds_are_optional() {
        let every_ten = Schedule::cron("*/10 * * * * *", "UTC").unwrap();
        assert_eq!(
            ticks(&every_ten, "2026-01-01T00:00:01Z", 1),
            ["2026-01-01T00:00:10Z"]
        );
    }

    #[test]
    fn faults_are_named() {
        let error = Schedule::cron("61 * * * *", "UTC").unwrap_err().to_string();
        assert!(
            error.contains("\"61 * * * *\" is not a cron expression"),
            "{error}"
        );
        let error = Schedule::cron("0 3 30 2 *", "UTC").unwrap_err().to_string();
        assert!(error.contains("\"0 3 30 2 *\""), "{error}");
        let error = Schedule::cron("0 3 * * *", "Mars/Olympus").unwrap_err();
        assert_eq!(error, ScheduleError::TimeZone("Mars/Olympus".into()));
        assert!(Schedule::every(Duration::ZERO).is_err());
        let minute = Schedule::every(Duration::from_secs(60)).unwrap();
        assert!(minute.with_jitter(Duration::from_secs(60)).is_err());
    }

    #[test]
    fn a_schedule_survives_its_written_form() {
        for text in [
            r#"{"every":"5m","jitter":"10s"}"#,
            r#"{"every":"1h","delay":"1m 30s"}"#,
            r#"{"cron":"0 3 * * MON","timezone":"America/New_York"}"#,
        ] {
            let schedule: Schedule = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&schedule).unwrap(), text);
        }
        assert!(serde_json::from_str::<Schedule>(r#"{"every":"5m","cron":"* * * * *"}"#).is_err());
    }

    proptest! {
        #[test]
        fn the_next_tick_is_later_and_on_the_grid(
            delta in 1u64..10_000_000, delay in 0u64..10_000_000, at in 0i64..4_000_000_000_000,
        ) {
            let schedule = Schedule::every(Duration::from_millis(delta)).unwrap()
                .with_delay(Duration::from_millis(delay));
            let at = Timestamp::from_millisecond(at).unwrap();
            let next = schedule.next_after(at).unwrap();
            prop_assert!(next > at);
            prop_assert!(next.as_millisecond() - at.as_millisecond() <= i64::try_from(delta).unwrap());
            let offset = next.as_millisecond() - i64::try_from(delay % delta).unwrap();
            prop_assert_eq!(offset.rem_euclid(i64::try_from(delta).unwrap()), 0);
        }

        #[test]
        fn jitter_stays_within_its_bound_and_never_changes(at in 0i64..4_000_000_000) {
            let schedule = Schedule::every(Duration::from_secs(60)).unwrap()
                .with_jitter(Duration::from_secs(30)).unwrap();
            let task = TaskName::parse("t").unwrap();
            let tick = Timestamp::from_second(at).unwrap();
            let due = schedule.due(&task, tick);
            prop_assert!(due >= tick && due.as_second() - tick.as_second() <= 30);
            prop_assert_eq!(due, schedule.due(&task, tick));
        }
    }
}
