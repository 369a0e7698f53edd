//! Connections, and the pool that lends them.

use std::ops::Deref;

use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

pub(crate) type Pool = deadpool::managed::Pool<Connector>;

/// Makes connections.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) config: Config,
    pub(crate) tls: MakeRustlsConnect,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

/// A connection, closed at once when it is dropped: whatever it was in the middle of, nobody waits for the answer.
#[derive(Debug)]
pub(crate) struct Session {
    client: Client,
    task: JoinHandle<()>,
}

impl Deref for Session {
    type Target = Client;
    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Manager for Connector {
    type Type = Session;
    type Error = tokio_postgres::Error;

    async fn create(&self) -> Result<Session, tokio_postgres::Error> {
        // Boxed: it is large, and seldom needed.
        let connecting = Box::pin(self.config.connect(self.tls.clone()));
        let (client, connection) = connecting.await?;
        let task = tokio::spawn(async move {
            if let Err(error) = connection.await {
                // Whoever used it is told; an idle one is nobody's loss.
                tracing::debug!(%error, "a connection to PostgreSQL ended");
            }
        });
        Ok(Session { client, task })
    }

    async fn recycle(
        &self,
        session: &mut Session,
        _: &Metrics,
    ) -> RecycleResult<tokio_postgres::Error> {
        if session.is_closed() {
            return Err(RecycleError::message("closed"));
        }
        Ok(())
    }
}
