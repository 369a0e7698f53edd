//! The way to the server: one connection that is made anew when it breaks, and calls that are made again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fluid_core::{BrokerError, BrokerResult, Clock};
use redis::{Cmd, ErrorKind, ServerErrorKind, Value};
use tokio::time::{Instant, sleep, timeout};

use crate::check;
use crate::connect::{Connection, Connector};
use crate::fault::{Fault, Outcome};
use crate::options::RedisOptions;
use crate::script::{self, Script};

/// Between two tries of a call.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Whether the replicas that the options ask for must have what a call wrote before it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lasts {
    Yes,
    No,
}

/// The connection in use, told apart from its predecessors.
#[derive(Clone)]
struct Live {
    connection: Connection,
    number: u64,
}

/// When the server may be asked for a connection again, and why not before.
struct Rest {
    until: Instant,
    pause: Duration,
    fault: Fault,
}

/// The way to the server.
pub(crate) struct Link {
    url: String,
    /// `{prefix}:`, with which each key begins.
    prefix: String,
    /// Which handle this is, so that it knows its own events.
    me: String,
    clock: Option<Arc<dyn Clock>>,
    replicas: u32,
    patience: Duration,
    answer_within: Duration,
    pub(crate) connector: Connector,
    live: Mutex<Option<Live>>,
    /// How many connections were made.
    made: AtomicU64,
    /// Held by the one that connects; the others wait for what comes of it.
    connecting: tokio::sync::Mutex<Option<Rest>>,
}

impl Link {
    /// Connects and checks what is there. Also the version of the key layout that was found, 0 if there was none.
    pub(crate) async fn open(options: &RedisOptions, me: String) -> BrokerResult<(Self, u32)> {
        let url = options.describe();
        let connector = Connector::new(options).map_err(|fault| fault.to_error(&url, false))?;
        let link = Self {
            prefix: format!("{{{}}}:", options.prefix),
            me,
            clock: options.clock.clone(),
            replicas: options.replicas,
            patience: options.patience,
            answer_within: options.answer_within,
            connector,
            live: Mutex::new(None),
            made: AtomicU64::new(0),
            connecting: tokio::sync::Mutex::new(None),
            url,
        };
        let found = link
            .begin()
            .await
            .map_err(|fault| fault.to_error(&link.url, false))?;
        Ok((link, found))
    }

    async fn begin(&self) -> Outcome<u32> {
        // A server that loads its data is waited for; one that can't be reached is told of at once.
        let mut live = self.connection().await?;
        check::advise(&mut live.connection, &self.url).await;
        let (found, _) = self
            .try_again(
                &script::VERSION,
                |command| {
                    command.arg(check::SCHEMA);
                },
                Lasts::No,
            )
            .await?;
        let found: String = redis::from_redis_value(found).map_err(redis::RedisError::from)?;
        match found.parse() {
            Ok(version) if version > check::SCHEMA => Err(Fault::TooNew(version)),
            Ok(version) => Ok(version),
            Err(_) => Err(Fault::Corrupt(format!(
                "the key {}meta has the schema {found:?}",
                self.prefix
            ))),
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn me(&self) -> &str {
        &self.me
    }

    /// The channel on which events are told.
    pub(crate) fn channel(&self) -> String {
        format!("{}events", self.prefix)
    }

    pub(crate) fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn live(&self) -> MutexGuard<'_, Option<Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connection(&self) -> Outcome<Live> {
        if let Some(live) = &*self.live() {
            return Ok(live.clone());
        }
        let mut rest = self.connecting.lock().await;
        // Somebody may have connected meanwhile.
        if let Some(live) = &*self.live() {
            return Ok(live.clone());
        }
        if let Some(rest) = &*rest
            && Instant::now() < rest.until
        {
            return Err(rest.fault.clone());
        }
        let made = async {
            let mut connection = self.connector.connect().await?;
            let greeting = check::greet(&mut connection);
            timeout(self.answer_within, greeting)
                .await
                .unwrap_or(Err(Fault::NoGreeting(self.answer_within)))?;
            Ok(connection)
        };
        match made.await {
            Ok(connection) => {
                *rest = None;
                let mut current = self.live();
                let number = self.made.fetch_add(1, Ordering::Relaxed);
                let live = Live { connection, number };
                *current = Some(live.clone());
                Ok(live)
            }
            Err(fault) => {
                let pause = rest
                    .as_ref()
                    .map_or(FIRST_PAUSE, |rest| (rest.pause * 2).min(LONGEST_PAUSE));
                *rest = Some(Rest {
                    until: Instant::now() + pause,
                    pause,
                    fault: Fault::clone(&fault),
                });
                Err(fault)
            }
        }
    }

    fn give_up(&self, number: u64) {
        let mut live = self.live();
        if live.as_ref().is_some_and(|live| live.number == number) {
            *live = None;
        }
    }

    /// Has the server run a script: one round trip. It is asked again while that may help, and each time after the
    /// first that may have gone through it hears so. Cancellation safe: the script runs wholly or not at all.
    pub(crate) async fn run(
        &self,
        script: &Script,
        lasts: Lasts,
        arguments: impl Fn(&mut Cmd) + Send + Sync,
    ) -> BrokerResult<Value> {
        self.run_noting(script, lasts, arguments)
            .await
            .map(|(value, _)| value)
    }

    /// The same, and whether it was asked more than once.
    pub(crate) async fn run_noting(
        &self,
        script: &Script,
        lasts: Lasts,
        arguments: impl Fn(&mut Cmd) + Send + Sync,
    ) -> BrokerResult<(Value, bool)> {
        let asked = self.try_again(script, arguments, lasts).await;
        asked.map_err(|fault| self.error(&fault))
    }

    pub(crate) fn error(&self, fault: &Fault) -> BrokerError {
        fault.to_error(&self.url, true)
    }

    async fn try_again(
        &self,
        script: &Script,
        arguments: impl Fn(&mut Cmd) + Send + Sync,
        lasts: Lasts,
    ) -> Outcome<(Value, bool)> {
        let deadline = Instant::now() + self.patience;
        let (mut again, mut pause) = (false, FIRST_PAUSE);
        loop {
            let fault = match self.connection().await {
                Ok(live) => match self.try_once(live, script, &arguments, lasts, again).await {
                    Ok(value) => return Ok((value, again)),
                    Err(fault) => {
                        again |= fault.may_have_happened();
                        fault
                    }
                },
                Err(fault) => fault,
            };
            if !fault.passes(self.connector.may_move()) || Instant::now() + pause >= deadline {
                return Err(fault);
            }
            tracing::debug!(broker = %self.url, ?fault, again, "asking again");
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn try_once(
        &self,
        mut live: Live,
        script: &Script,
        arguments: &(impl Fn(&mut Cmd) + Send + Sync),
        lasts: Lasts,
        again: bool,
    ) -> Outcome<Value> {
        let mut answer = Err(Fault::NoAnswer(self.answer_within));
        for whole in [false, true] {
            let mut command = script.command(whole);
            command.arg(1).arg(self.key("meta"));
            match &self.clock {
                Some(clock) => command.arg(clock.now().as_microsecond()),
                None => command.arg(""),
            };
            command.arg(&self.me).arg(if again { "1" } else { "0" });
            arguments(&mut command);
            answer = self.ask(&mut live.connection, command, lasts).await;
            let unknown = matches!(&answer, Err(Fault::Redis(error)) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript));
            if !unknown {
                break;
            }
        }
        if answer.as_ref().is_err_and(Fault::breaks_connection) {
            self.give_up(live.number);
        }
        answer
    }

    async fn ask(&self, connection: &mut Connection, command: Cmd, lasts: Lasts) -> Outcome<Value> {
        let within = self.answer_within;
        let late = |_| Fault::NoAnswer(within);
        if self.replicas == 0 || lasts == Lasts::No {
            return Ok(timeout(within, connection.ask(&command))
                .await
                .map_err(late)??);
        }
        let patience = u64::try_from(within.as_millis() / 2).unwrap_or(u64::MAX);
        let asked = connection.ask_and_replicate(command, self.replicas, patience);
        let (value, have) = timeout(within, asked).await.map_err(late)??;
        if have < i64::from(self.replicas) {
            return Err(Fault::FewReplicas {
                have,
                want: self.replicas,
            });
        }
        Ok(value)
    }
}
