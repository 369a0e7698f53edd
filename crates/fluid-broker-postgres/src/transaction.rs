//! Requests that are part of the caller's own transaction.

use fluid_core::{BrokerError, BrokerResult, Due, Enqueued, NewRun};
use serde::Serialize;
use tokio_postgres::GenericClient;
use tokio_postgres::types::Type;

use crate::broker::PostgresBroker;
use crate::code::Coded;
use crate::enqueue::{self, Lists};
use crate::error::Fault;
use crate::instant::micros;
use crate::link::Param;
use crate::text::to_kept;

/// Who tells of what another transaction enqueued: nobody, so that every process hears of it.
const NOBODY: &str = "-";

/// A run as the function `enqueue_json` reads it. What is left out has its default.
#[derive(Serialize)]
struct Row<'a> {
    id: String,
    task: &'a str,
    queue: &'a str,
    priority: i16,
    params: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    secrets: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<i64>,
    trigger: i16,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_of: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unique_key: Option<std::borrow::Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unique_window: Option<i64>,
    concurrency_key: std::borrow::Cow<'a, str>,
    max_interruptions: u32,
}

impl PostgresBroker {
    /// Enqueues runs in the caller's own transaction: they exist if and only if it commits, and consumers are told
    /// at that moment. The answers come in the order of `runs`.
    ///
    /// The transaction is one of the same database, of any connection. It takes no lock that another request waits
    /// for, but on a unique key: whoever asks for the same key meanwhile waits until this transaction is over.
    ///
    /// ```no_run
    /// use fluid_broker_postgres::PostgresBroker;
    /// use fluid_core::{NewRun, Params, TaskName};
    ///
    /// # async fn order(broker: PostgresBroker, mut client: tokio_postgres::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let transaction = client.transaction().await?;
    /// transaction.execute("INSERT INTO orders (customer) VALUES ($1)", &[&"Ada"]).await?;
    /// let run = NewRun::new(TaskName::parse("send_invoice")?, Params::default());
    /// broker.queue_in(&transaction, vec![run]).await?;
    /// transaction.commit().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What the statement itself may meet. The transaction can then only be rolled back, as after any error.
    pub async fn queue_in<C>(
        &self,
        transaction: &C,
        runs: Vec<NewRun>,
    ) -> BrokerResult<Vec<Enqueued>>
    where
        C: GenericClient + Sync,
    {
        if runs.is_empty() {
            return Ok(Vec::new());
        }
        let link = self.link();
        let told = |fault: Fault| link.error(&fault);
        let lists = Lists::of(&runs).map_err(told)?;
        let now = self.time();
        let mut params: Vec<Param<'_>> = vec![
            (&now, Type::INT8),
            (&NOBODY, Type::TEXT),
            (&false, Type::BOOL),
            (&true, Type::BOOL),
        ];
        params.extend(lists.params());
        let sql = link.call("enqueue", params.len());
        let rows = transaction
            .query_typed(&sql, &params)
            .await
            .map_err(|error| told(Fault::Call(error)))?;
        enqueue::answers(&runs, &rows, false).map_err(told)
    }

    /// The statement that [`queue_in`](Self::queue_in) stands for, for a transaction of any other client, and its
    /// parameters `$1` and on, all of type `text`. It answers with one row for each run that was not inserted:
    /// its id, and the id of the run that it duplicates.
    ///
    /// # Errors
    /// [`BrokerError::Invalid`] when a run can't be written.
    pub fn enqueue_statement(&self, runs: &[NewRun]) -> BrokerResult<(String, Vec<String>)> {
        let link = self.link();
        let mut rows = Vec::with_capacity(runs.len());
        for run in runs {
            rows.push(row(run).map_err(|fault| link.error(&fault))?);
        }
        let json = serde_json::to_string(&rows).map_err(|error| BrokerError::Invalid {
            broker: link.url.clone(),
            reason: format!("runs can't be written: {error}"),
        })?;
        let sql = format!("SELECT run, holder FROM {}.enqueue_json($1)", link.schema);
        Ok((sql, vec![json]))
    }
}

fn row(run: &NewRun) -> Result<Row<'_>, Fault> {
    let (due_at, after) = match run.due {
        Due::Now => (None, None),
        Due::After(delay) => (None, Some(micros(delay))),
        Due::At(instant) => (Some(instant.as_microsecond()), None),
    };
    Ok(Row {
        id: run.id.to_string(),
        task: run.task.as_str(),
        queue: run.queue.as_str(),
        priority: run.priority.code(),
        params: run.params.expose().as_str(),
        secrets: enqueue::secret_paths(&run.params)?,
        due_at,
        after,
        trigger: run.trigger.code(),
        parent: run.parent.map(|id| id.to_string()),
        root: run.root.map(|id| id.to_string()),
        retry_of: run.retry_of.map(|id| id.to_string()),
        unique_key: run.unique.as_ref().map(|unique| to_kept(&unique.key)),
        unique_window: run
            .unique
            .as_ref()
            .and_then(|unique| unique.window)
            .map(micros),
        concurrency_key: to_kept(&run.concurrency_key),
        max_interruptions: run.max_interruptions,
    })
}
