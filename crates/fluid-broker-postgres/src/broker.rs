//! The broker: its connections, and what it keeps beside them.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use fluid_core::doubts::Doubts;
use fluid_core::{BrokerError, BrokerResult, Clock, Event, LeaseRef, LogCap};
use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::error::Fault;
use crate::link::Link;
use crate::listener::Listener;
use crate::options::PostgresOptions;
use crate::pool::{Connector, Session};
use crate::schema;
use crate::teller::Teller;

/// Events that a subscriber may be behind.
const EVENTS: usize = 1024;

/// A broker in a schema of a PostgreSQL database; see the [crate](crate).
pub struct PostgresBroker {
    link: Arc<Link>,
    connector: Connector,
    clock: Option<Arc<dyn Clock>>,
    pub(crate) log_cap: LogCap,
    pub(crate) ends: Doubts<LeaseRef, ()>,
    events: broadcast::Sender<Event>,
    pub(crate) teller: Arc<Teller>,
    runtime: Handle,
    work: Mutex<Work>,
}

/// What goes on beside the calls, and ends with the broker.
#[derive(Debug, Default)]
struct Work {
    telling: Option<JoinHandle<()>>,
    listening: Option<JoinHandle<()>>,
}

impl Drop for Work {
    fn drop(&mut self) {
        for task in [&self.telling, &self.listening].into_iter().flatten() {
            task.abort();
        }
    }
}

impl fmt::Debug for PostgresBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresBroker")
            .field("url", &self.link.url)
            .finish_non_exhaustive()
    }
}

/// A connection of its own, for what is done before there is a broker.
async fn connect(options: &PostgresOptions) -> BrokerResult<(Connector, Session)> {
    use deadpool::managed::Manager;
    let url = options.describe();
    let connector = Connector {
        config: options.config.clone(),
        tls: options.tls.connector(&url)?,
    };
    let fault = match timeout(options.call_deadline, connector.create()).await {
        Ok(Ok(session)) => return Ok((connector, session)),
        Ok(Err(error)) => Fault::Connect(error),
        Err(_) => Fault::Silent(options.call_deadline),
    };
    Err(fault.to_error(&url, false))
}

impl PostgresBroker {
    /// Connects, and brings the schema to this build's version where that is needed. Any number of processes may
    /// do so at once.
    ///
    /// Call it inside a tokio runtime, which the broker then works in. Cancellation safe: a schema that was being
    /// made or upgraded is whole.
    ///
    /// # Errors
    /// [`BrokerError::Unreachable`] when nobody answers or has room for a connection, [`BrokerError::Invalid`] for a
    /// wrong user, password or database, for TLS that does not fit, for missing privileges, and for a server that
    /// is too old or can't keep every text, [`BrokerError::ReadOnly`] when a standby would have to be migrated, and
    /// [`BrokerError::SchemaTooNew`].
    pub async fn open(options: PostgresOptions) -> BrokerResult<Self> {
        // What connecting takes is not to be part of every future that opens a broker.
        let (connector, session) = connect(&options).boxed().await?;
        let link = Link::new(&options, connector.clone())?;
        schema::open(&session, &options.schema)
            .await
            .map_err(|fault| link.error(&fault))?;
        drop(session);
        link.opened();
        let (events, _) = broadcast::channel(EVENTS);
        Ok(Self {
            link: Arc::new(link),
            connector,
            clock: options.clock,
            log_cap: options.log_cap,
            ends: Doubts::default(),
            events,
            teller: Arc::new(Teller::new()),
            runtime: Handle::current(),
            work: Mutex::default(),
        })
    }

    /// Brings the schema to this build's version and says which it had: 0 when there was none.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub async fn migrate(options: &PostgresOptions) -> BrokerResult<(u32, u32)> {
        let (_, session) = connect(options).await?;
        let found = schema::migrate(&session, &options.schema)
            .await
            .map_err(|fault| fault.to_error(&options.describe(), false))?;
        Ok((found, schema::supported()))
    }

    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// The time in microseconds, where it does not come from the server.
    pub(crate) fn time(&self) -> Option<i64> {
        self.clock
            .as_ref()
            .map(|clock| clock.now().as_microsecond())
    }

    /// Tells what happened: those who subscribed here, and soon other processes, unless the server told them already.
    pub(crate) fn tell(&self, events: Vec<Event>, others_know: bool) {
        if events.is_empty() {
            return;
        }
        if self.events.receiver_count() > 0 {
            for event in &events {
                // The last receiver may just be gone.
                let _ = self.events.send(event.clone());
            }
        }
        if !others_know {
            self.teller.soon(events);
            let mut work = self.work();
            work.telling.get_or_insert_with(|| {
                let telling = Arc::clone(&self.teller).run(Arc::clone(&self.link));
                self.runtime.spawn(telling)
            });
        }
    }

    /// Events from now on. Whoever asks first has the broker listen to other processes.
    pub(crate) fn listen(&self) -> broadcast::Receiver<Event> {
        let receiver = self.events.subscribe();
        let mut work = self.work();
        work.listening.get_or_insert_with(|| {
            let listener = Listener {
                link: Arc::clone(&self.link),
                connector: self.connector.clone(),
                events: self.events.clone(),
                origin: self.teller.origin.clone(),
            };
            self.runtime.spawn(listener.run())
        });
        receiver
    }

    fn work(&self) -> std::sync::MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn told<T>(&self, outcome: Result<T, Fault>) -> Result<T, BrokerError> {
        outcome.map_err(|fault| self.link.error(&fault))
    }
}
