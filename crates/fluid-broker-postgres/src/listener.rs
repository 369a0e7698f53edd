//! Hears what other processes tell: on a connection of its own, or, where notifications don't come through, by looking
//! every second.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use fluid_core::{BrokerError, Event};
use tokio::sync::broadcast;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::types::Type;
use tokio_postgres::{AsyncMessage, Client, Connection};

use crate::error::{Fault, Outcome};
use crate::events::read_payload;
use crate::link::{Link, Repeat, Statement};
use crate::pool::Connector;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long a notification that is sent to oneself may take.
const ECHO: Duration = Duration::from_secs(3);
/// The server is asked so often whether the connection still stands, and has so long to answer.
const STILL_THERE: Duration = Duration::from_secs(20);
const ANSWER: Duration = Duration::from_secs(10);
/// How often to look where notifications don't come through, and when to try them again.
const LOOK: Duration = Duration::from_secs(1);
const TRY_AGAIN: Duration = Duration::from_secs(600);

/// Hears for all who subscribe.
pub(crate) struct Listener {
    pub(crate) link: Arc<Link>,
    pub(crate) connector: Connector,
    pub(crate) events: broadcast::Sender<Event>,
    /// What is told by this origin was heard already.
    pub(crate) origin: String,
}

/// How a time of listening ended.
enum Ended {
    /// The connection broke.
    Broken(BrokerError),
    /// Notifications don't come through.
    Deaf,
}

impl Listener {
    /// Hears for as long as it is polled.
    pub(crate) async fn run(self) {
        let mut pause = FIRST_PAUSE;
        let mut told_deaf = false;
        loop {
            let mut heard = false;
            match self.listen(&mut heard).await {
                Ended::Broken(error) => {
                    if heard {
                        pause = FIRST_PAUSE;
                    }
                    // Whoever calls the broker hears it as well, and says it.
                    tracing::debug!(%error, "no notifications from PostgreSQL until it can be reached again");
                    sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Ended::Deaf => {
                    if !told_deaf {
                        tracing::warn!(
                            broker = %self.link.url,
                            "notifications don't come through, as behind a pooler in transaction mode: looking for \
                             changes every second; name the server itself for shorter waits"
                        );
                        told_deaf = true;
                    }
                    self.look().await;
                }
            }
        }
    }

    /// Listens until it can't; `heard` says whether it could.
    async fn listen(&self, heard: &mut bool) -> Ended {
        let Connector { config, tls } = &self.connector;
        let connecting = Box::pin(config.connect(tls.clone()));
        let (client, mut connection) = match connecting.await {
            Ok(connected) => connected,
            Err(error) => return self.broken(&Fault::Connect(error)),
        };
        let channel = format!("fluid:{}", self.link.schema);
        let nonce = uuid::Uuid::new_v4().simple().to_string();
        let hear = format!("LISTEN \"{channel}\"");
        if let Err(fault) = self
            .beside(&mut connection, client.batch_execute(&hear))
            .await
        {
            return self.broken(&fault);
        }
        // A pooler takes LISTEN as well, and drops what then comes. So let it be seen whether anything does.
        let echo = async {
            let statement = Statement {
                sql: "SELECT pg_notify($1, $2)".to_owned(),
                params: vec![(&channel, Type::TEXT), (&nonce, Type::TEXT)],
                repeat: Repeat::Harmless,
            };
            let asked = self.link.ask(&statement).await;
            // The answer may come before the echo does.
            if asked.is_ok() {
                sleep(ECHO).await;
            }
            asked.map(|_| ())
        };
        match self.until(&mut connection, &nonce, echo).await {
            Heard::Echo => {}
            Heard::Answer(Err(error)) => return Ended::Broken(error),
            Heard::Broken(fault) => return self.broken(&fault),
            Heard::Answer(Ok(())) => {
                // Most likely this is the connection of the server that listens now.
                let stop = client.batch_execute("UNLISTEN *");
                let _ = self.beside(&mut connection, stop).await;
                return Ended::Deaf;
            }
        }
        *heard = true;
        // Whatever happened before.
        self.tell(Event::Changed);
        let fault = self.hear(&client, &mut connection).await;
        self.broken(&fault)
    }

    fn broken(&self, fault: &Fault) -> Ended {
        Ended::Broken(self.link.error(fault))
    }

    /// Passes on what comes until the connection breaks.
    async fn hear<C: Messages>(&self, client: &Client, connection: &mut C) -> Fault {
        loop {
            let still_there = async {
                sleep(STILL_THERE).await;
                timeout(ANSWER, client.simple_query("")).await
            };
            match self.until(connection, "", still_there).await {
                Heard::Broken(fault) => return fault,
                Heard::Answer(Err(_)) => return Fault::Silent(ANSWER),
                Heard::Answer(Ok(Err(error))) => return Fault::Call(error),
                Heard::Echo | Heard::Answer(Ok(Ok(_))) => {}
            }
        }
    }

    /// Looks whether anything happened, for a while.
    async fn look(&self) {
        let sql = format!(
            "SELECT last_value + is_called::int FROM {}.pulse",
            self.link.schema
        );
        let since = Instant::now();
        let mut last = None;
        let mut again = true;
        while since.elapsed() < TRY_AGAIN {
            // Nobody listens to what nobody looks for.
            if self.events.receiver_count() > 0 {
                let statement = Statement {
                    sql: sql.clone(),
                    params: Vec::new(),
                    repeat: Repeat::Harmless,
                };
                let answer = self.link.ask(&statement).await.ok();
                let pulse: Option<i64> =
                    answer.and_then(|answer| answer.rows.first()?.try_get(0).ok());
                let beats = pulse.is_none() || pulse != last;
                // A pulse goes on before its transaction is over, so what comes after it is looked for once more.
                if beats || again {
                    self.tell(Event::Changed);
                }
                again = beats;
                last = pulse;
            }
            sleep(LOOK).await;
        }
    }

    fn tell(&self, event: Event) {
        // Nobody may be listening.
        let _ = self.events.send(event);
    }

    /// Works on the connection until something that needs it is done.
    async fn beside<C: Messages, R>(
        &self,
        connection: &mut C,
        work: impl Future<Output = Result<R, tokio_postgres::Error>>,
    ) -> Outcome<R> {
        match self.until(connection, "", work).await {
            Heard::Answer(answer) => Ok(answer?),
            Heard::Broken(fault) => Err(fault),
            Heard::Echo => Err(Fault::Closed),
        }
    }

    /// The same, and ends early when this payload comes.
    async fn until<C: Messages, R>(
        &self,
        connection: &mut C,
        echo: &str,
        work: impl Future<Output = R>,
    ) -> Heard<R> {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                answer = &mut work => return Heard::Answer(answer),
                message = connection.message() => match message {
                    None => return Heard::Broken(Fault::Closed),
                    Some(Err(error)) => return Heard::Broken(Fault::Call(error)),
                    Some(Ok(AsyncMessage::Notification(notification))) => {
                        if notification.payload() == echo {
                            return Heard::Echo;
                        }
                        self.pass_on(notification.payload());
                    }
                    Some(Ok(_)) => {}
                },
            }
        }
    }

    fn pass_on(&self, payload: &str) {
        // What a listener sends to itself has no lines.
        if !payload.contains('\n') {
            return;
        }
        let (origin, events) = read_payload(payload);
        if origin != self.origin {
            for event in events {
                self.tell(event);
            }
        }
    }
}

/// What came first.
enum Heard<R> {
    Answer(R),
    Echo,
    Broken(Fault),
}

/// The next message of a connection that is no answer.
trait Messages {
    fn message(
        &mut self,
    ) -> impl Future<Output = Option<Result<AsyncMessage, tokio_postgres::Error>>> + Send;
}

impl<S, T> Messages for Connection<S, T>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send,
{
    async fn message(&mut self) -> Option<Result<AsyncMessage, tokio_postgres::Error>> {
        poll_fn(|context| self.poll_message(context)).await
    }
}
