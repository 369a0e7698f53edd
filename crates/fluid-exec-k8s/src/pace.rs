//! How long to wait before asking again.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// How long a refusal must go on before it is believed: a server that has just started refuses everything.
pub(crate) const DISBELIEF: Duration = Duration::from_secs(3);

/// Since when something is refused.
#[derive(Debug, Default)]
pub(crate) struct Doubt {
    since: Option<Instant>,
}

impl Doubt {
    /// How long the refusal that was just met is still doubted; `None` once it is believed.
    pub(crate) fn refused(&mut self, disbelief: Duration) -> Option<Duration> {
        let since = *self.since.get_or_insert_with(Instant::now);
        let left = disbelief.checked_sub(since.elapsed());
        left.filter(|left| !left.is_zero())
    }

    pub(crate) fn granted(&mut self) {
        self.since = None;
    }
}

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(5);

/// Waits that grow from one failure to the next.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    failures: u32,
}

impl Pace {
    /// What to wait after another failure, at least `asked` if the server asked for a time.
    pub(crate) fn next(&mut self, asked: Option<Duration>) -> Duration {
        let wait = (FIRST * 2u32.saturating_pow(self.failures.min(10))).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        spread(wait).max(asked.unwrap_or_default())
    }

    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Between half and all of a wait, so that those who failed together don't come back together.
fn spread(wait: Duration) -> Duration {
    let nanos = Timestamp::now().subsec_nanosecond().unsigned_abs() % 1000;
    wait / 2 + wait * nanos / 2000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_obey_the_server() {
        let mut pace = Pace::default();
        assert!(pace.next(None) <= FIRST);
        for _ in 0..20 {
            assert!(pace.next(None) <= LONGEST);
        }
        assert!(pace.next(None) >= LONGEST / 2);
        let asked = Duration::from_secs(30);
        assert_eq!(pace.next(Some(asked)), asked);
        pace.reset();
        assert!(pace.next(None) <= FIRST);
    }
}
