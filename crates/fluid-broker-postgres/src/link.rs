//! One statement and its answer, whatever happens on the way.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool::managed::Object;
use fluid_core::BrokerError;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use crate::error::{Fault, Outcome};
use crate::options::PostgresOptions;
use crate::pool::{Connector, Pool};

/// How often a call that others got in the way of is made again.
const CONFLICTS: u32 = 20;
/// How long a call waits before it asks a server that went away once more: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// A parameter and its type.
pub(crate) type Param<'a> = (&'a (dyn ToSql + Sync), Type);

/// A statement to be carried out in one round trip, without a name that a pooler could forget.
pub(crate) struct Statement<'a> {
    pub(crate) sql: String,
    pub(crate) params: Vec<Param<'a>>,
    /// Whether it may be made once more when its answer was lost.
    pub(crate) repeat: Repeat,
}

impl Statement<'static> {
    /// A statement without parameters that may be made any number of times.
    pub(crate) fn plain(sql: String) -> Self {
        Self {
            sql,
            params: Vec::new(),
            repeat: Repeat::Harmless,
        }
    }
}

/// What may be done about a lost answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It is told to the caller: once more would be once too often.
    Never,
    /// The statement may be made any number of times.
    Harmless,
    /// It may, when the parameter at this place says so.
    Flagged(usize),
    /// The statement may be made any number of times. It fails in a rare case that it takes care of when the parameter
    /// at this place says so.
    Careful(usize),
    /// Both, each with its place.
    FlaggedCareful(usize, usize),
}

impl Repeat {
    fn flag(self) -> Option<usize> {
        match self {
            Self::Flagged(place) | Self::FlaggedCareful(place, _) => Some(place),
            _ => None,
        }
    }

    fn care(self) -> Option<usize> {
        match self {
            Self::Careful(place) | Self::FlaggedCareful(_, place) => Some(place),
            _ => None,
        }
    }
}

/// The rows of an answer, and whether it is the answer to a repetition.
pub(crate) struct Answer {
    pub(crate) rows: Vec<Row>,
    pub(crate) again: bool,
}

/// The way to the server.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) pool: Pool,
    pub(crate) url: String,
    pub(crate) schema: String,
    deadline: Duration,
    opened: AtomicBool,
}

/// A connection that goes back to the pool only if nothing is left to be answered on it.
struct Lent(Option<Object<Connector>>);

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(object) = self.0.take() {
            drop(Object::take(object));
        }
    }
}

impl Link {
    pub(crate) fn new(
        options: &PostgresOptions,
        connector: Connector,
    ) -> Result<Self, BrokerError> {
        let url = options.describe();
        let pool = Pool::builder(connector)
            .max_size(options.max_connections)
            .runtime(deadpool::Runtime::Tokio1)
            .wait_timeout(Some(options.call_deadline))
            .build()
            .map_err(|error| BrokerError::Other {
                broker: url.clone(),
                reason: error.to_string(),
                source: None,
            })?;
        Ok(Self {
            pool,
            url,
            schema: options.schema.clone(),
            deadline: options.call_deadline,
            opened: AtomicBool::new(false),
        })
    }

    pub(crate) fn opened(&self) {
        self.opened.store(true, Ordering::Relaxed);
    }

    pub(crate) fn error(&self, fault: &Fault) -> BrokerError {
        fault.to_error(&self.url, self.opened.load(Ordering::Relaxed))
    }

    /// A call of one of our functions with so many parameters.
    pub(crate) fn call(&self, function: &str, params: usize) -> String {
        let places: Vec<String> = (1..=params).map(|place| format!("${place}")).collect();
        format!(
            "SELECT * FROM {}.{function}({})",
            self.schema,
            places.join(", ")
        )
    }

    /// Carries a statement out. Cancellation safe as far as a server is: it happened wholly or not at all.
    pub(crate) async fn ask(&self, statement: &Statement<'_>) -> Result<Answer, BrokerError> {
        self.ask_until(statement, Instant::now() + self.deadline)
            .await
            .map_err(|fault| self.error(&fault))
    }

    async fn ask_until(&self, statement: &Statement<'_>, until: Instant) -> Outcome<Answer> {
        let mut params = statement.params.clone();
        let mut lost = false;
        let mut conflicts = 0;
        let mut care = statement.repeat.care();
        let mut pause = FIRST_PAUSE;
        loop {
            let fault = match self.ask_once(&statement.sql, &params, until).await {
                Ok(rows) => {
                    return Ok(Answer { rows, again: lost });
                }
                Err(fault) => fault,
            };
            if fault.is_conflict() && conflicts < CONFLICTS {
                conflicts += 1;
                sleep(spread(Duration::from_millis(2) * conflicts)).await;
                continue;
            }
            if fault.wants_care()
                && let Some(place) = care.take()
            {
                params[place] = (&true, Type::BOOL);
                continue;
            }
            if fault.is_lost_answer() && statement.repeat != Repeat::Never {
                if let Some(place) = statement.repeat.flag() {
                    params[place] = (&true, Type::BOOL);
                }
                lost = true;
            } else if !lost || !matches!(fault, Fault::Connect(_)) {
                return Err(fault);
            }
            // The server goes away: what became of the call is found out when it is back.
            let next = Instant::now() + spread(pause);
            if next >= until {
                return Err(fault);
            }
            tokio::time::sleep_until(next).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn ask_once(&self, sql: &str, params: &[Param<'_>], until: Instant) -> Outcome<Vec<Row>> {
        let silent = || Fault::Silent(self.deadline);
        let object = timeout_at(until, self.pool.get())
            .await
            .map_err(|_| silent())?
            .map_err(|error| Fault::of_pool(error, self.deadline))?;
        let mut lent = Lent(Some(object));
        let Some(session) = lent.0.as_ref() else {
            return Err(Fault::Closed);
        };
        let rows = timeout_at(until, session.query_typed(sql, params))
            .await
            .map_err(|_| silent())?;
        // An error of the statement leaves the connection in order, and a closed one is found out by the pool.
        drop(lent.0.take());
        Ok(rows?)
    }
}

/// A duration that differs from one caller to the next: half to one and a half times as long.
fn spread(duration: Duration) -> Duration {
    let random = uuid::Uuid::new_v4().as_u128() % 1024;
    duration / 2 + duration * u32::try_from(random).unwrap_or(0) / 1024
}
