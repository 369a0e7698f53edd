//! How many runs ended in each minute of the last hour, as a picture and in words.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use askama::filters::HtmlSafe;
use fluid_core::{Broker, BrokerResult, RunState};
use jiff::Timestamp;
use tokio::time::Instant;

use super::words::{count, counted};

/// How many minutes are shown.
const MINUTES: i64 = 60;
/// How long a page waits for minutes that were not asked for yet; the others come with the next one.
const PATIENCE: Duration = Duration::from_millis(40);
/// How long after a minute its runs may still be written down.
const SETTLED: i64 = 5;

/// What ended in the minutes of the last hour, as far as it was asked for: a minute that is over is asked for once.
#[derive(Debug, Default)]
pub(super) struct Throughput(BTreeMap<i64, Minute>);

impl Throughput {
    pub(super) async fn get(
        &mut self,
        broker: &dyn Broker,
        now: Timestamp,
    ) -> BrokerResult<Option<Vec<Minute>>> {
        let current = now.as_second() / 60;
        let first = current - MINUTES + 1;
        self.0 = self.0.split_off(&first);
        let begin = Instant::now();
        let start = |minute: i64| Timestamp::from_second(minute * 60).unwrap_or(now);
        let mut goes_on = BTreeMap::new();
        for minute in (first..=current).rev() {
            if self.0.contains_key(&minute) || begin.elapsed() > PATIENCE {
                continue;
            }
            let ended = broker.ended(start(minute), start(minute + 1)).await?;
            let Some(ended) = ended else {
                return Ok(None);
            };
            let minute_is_over = now.as_second() >= (minute + 1) * 60 + SETTLED;
            let kept = if minute_is_over {
                &mut self.0
            } else {
                &mut goes_on
            };
            kept.insert(minute, Minute::of(&ended));
        }
        let minute = |minute| self.0.get(&minute).or_else(|| goes_on.get(&minute));
        Ok(Some(
            (first..=current)
                .map(|one| minute(one).copied().unwrap_or_default())
                .collect(),
        ))
    }
}

/// What ended in one minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Minute {
    pub(super) success: u64,
    /// Failed or interrupted.
    pub(super) failed: u64,
    /// Aborted or refused.
    pub(super) other: u64,
}

impl Minute {
    fn of(ended: &BTreeMap<RunState, u64>) -> Self {
        let mut minute = Self::default();
        for (state, number) in ended {
            match state {
                RunState::Success => minute.success += number,
                RunState::Failure | RunState::Interrupted => minute.failed += number,
                _ => minute.other += number,
            }
        }
        minute
    }

    fn all(self) -> u64 {
        self.success + self.failed + self.other
    }
}

/// The minutes of the last hour, oldest first; the last of them goes on.
#[derive(Debug)]
pub(super) struct Chart {
    minutes: Vec<Minute>,
    pub(super) failed: u64,
    ended: u64,
    top: u64,
    now: Timestamp,
}

const HEIGHT: u64 = 100;
const BAR: u64 = 10;

impl Chart {
    pub(super) fn of(minutes: &[Minute], now: Timestamp) -> Self {
        let all = minutes.iter().map(|minute| minute.all());
        Self {
            failed: minutes.iter().map(|minute| minute.failed).sum(),
            ended: all.clone().sum(),
            top: all.max().unwrap_or(0).max(1),
            minutes: minutes.to_vec(),
            now,
        }
    }

    pub(super) fn words(&self) -> String {
        let ended = counted(self.ended, "run", "runs");
        let (failed, top) = (count(self.failed), count(self.top));
        if self.ended == 0 {
            return "No run ended. Deleted runs don't count.".to_owned();
        }
        format!(
            "{ended} ended, {failed} of them failed; at most {top} a minute. Deleted runs don't count."
        )
    }
}

impl fmt::Display for Chart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = BAR * self.minutes.len() as u64;
        write!(
            f,
            r#"<svg class="chart" viewBox="0 0 {width} {HEIGHT}" preserveAspectRatio="none" role="img" aria-label="{}">"#,
            self.words()
        )?;
        let first = self.now.as_second() / 60 - MINUTES + 1;
        for ((place, minute), start) in (0..).zip(&self.minutes).zip(first..) {
            let x: u64 = BAR * place + 1;
            let mut floor = HEIGHT;
            let at = Timestamp::from_second(start * 60).unwrap_or(self.now);
            write!(f, "<g><title>{}: ", at.strftime("%H:%M"))?;
            write!(
                f,
                "{} succeeded, {} failed, {} otherwise</title>",
                count(minute.success),
                count(minute.failed),
                count(minute.other)
            )?;
            let parts = [
                ("failure", minute.failed),
                ("success", minute.success),
                ("aborted", minute.other),
            ];
            for (class, number) in parts {
                if number == 0 {
                    continue;
                }
                // A single failure among thousands is still to be seen.
                let height = (number * HEIGHT / self.top).max(2).min(floor);
                floor -= height;
                let wide = BAR - 2;
                write!(
                    f,
                    r#"<rect class="{class}" x="{x}" y="{floor}" width="{wide}" height="{height}"/>"#
                )?;
            }
            f.write_str("</g>")?;
        }
        f.write_str("</svg>")
    }
}

// Numbers, times and words of this file.
impl HtmlSafe for Chart {}
