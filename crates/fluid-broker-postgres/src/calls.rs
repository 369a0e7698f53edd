//! Each call of the seam as one statement.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use async_trait::async_trait;
use fluid_core::{
    Attempt, Broker, BrokerResult, Cancelled, ClaimRequest, Claimed, ConsumerId, ConsumerInfo,
    Enqueued, Event, ExportedRun, Finish, Finished, LeaseRef, LeaseStatus, LogBatch, NewRun, Page,
    QueueName, Report, RunFilter, RunId, RunState, Settings, Stats, StoredLine, TaskName, TaskRun,
    Tick, Ticked,
};
use jiff::Timestamp;
use tokio::sync::broadcast;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::broker::PostgresBroker;
use crate::claim::{Wish, started};
use crate::enqueue::{self, Lists};
use crate::error::Fault;
use crate::finish::{self, Ends, News};
use crate::instant::{micros, timestamp};
use crate::link::{Answer, Param, Repeat, Statement};
use crate::logs;
use crate::record::{coded, task, uuid};
use crate::switches::{DISABLED, PAUSED};
use crate::{query, tick};

impl PostgresBroker {
    pub(crate) async fn function(
        &self,
        name: &str,
        params: Vec<Param<'_>>,
        repeat: Repeat,
    ) -> BrokerResult<Answer> {
        let sql = self.link().call(name, params.len());
        self.link()
            .ask(&Statement {
                sql,
                params,
                repeat,
            })
            .await
    }

    /// The first row of an answer.
    pub(crate) fn only<'a>(&self, answer: &'a Answer) -> BrokerResult<&'a tokio_postgres::Row> {
        let row = answer.rows.first();
        self.told(row.ok_or_else(|| Fault::Corrupt("a function answered with nothing".to_owned())))
    }

    async fn end(
        &self,
        reports: &[Report],
        batch: &[(LeaseRef, Finish)],
    ) -> BrokerResult<Vec<Finished>> {
        let ends = self.told(Ends::of(batch))?;
        let news = News::of(reports);
        let now = self.time();
        let leases = || batch.iter().map(|(lease, _)| lease);
        let again = self.ends.have_one_of(leases());
        let asked = self.ends.ask(leases().map(|lease| (*lease, ())).collect());
        let mut params: Vec<Param<'_>> = vec![
            (&now, Type::INT8),
            (&again, Type::BOOL),
            (&false, Type::BOOL),
        ];
        params.extend(ends.params());
        params.extend(news.params());
        let answer = self
            .function("finish", params, Repeat::FlaggedCareful(1, 2))
            .await?;
        asked.answered();
        let (answers, events) = self.told(finish::read(batch, self.only(&answer)?))?;
        self.tell(events, false);
        Ok(answers)
    }
}

#[async_trait]
impl Broker for PostgresBroker {
    fn describe(&self) -> String {
        self.link().url.clone()
    }

    async fn now(&self) -> BrokerResult<Timestamp> {
        if let Some(time) = self.time() {
            return self.told(timestamp(time));
        }
        let answer = self
            .function("clock_us", Vec::new(), Repeat::Harmless)
            .await?;
        let micros = self.only(&answer)?.try_get(0).map_err(Fault::from);
        self.told(micros.and_then(timestamp))
    }

    async fn enqueue(&self, runs: Vec<NewRun>) -> BrokerResult<Vec<Enqueued>> {
        if runs.is_empty() {
            return Ok(Vec::new());
        }
        let lists = self.told(Lists::of(&runs))?;
        let now = self.time();
        let at_once = self.teller.at_once();
        let mut params: Vec<Param<'_>> = vec![
            (&now, Type::INT8),
            (&at_once, Type::TEXT),
            (&true, Type::BOOL),
            (&false, Type::BOOL),
        ];
        params.extend(lists.params());
        let answer = self.function("enqueue", params, Repeat::Careful(3)).await?;
        let answers = self.told(enqueue::answers(&runs, &answer.rows, answer.again))?;
        self.tell(enqueue::events(&runs, &answers), at_once.is_some());
        Ok(answers)
    }

    async fn claim(&self, request: ClaimRequest) -> BrokerResult<Claimed> {
        let wish = Wish::of(&request);
        let now = self.time();
        let mut params: Vec<Param<'_>> = vec![(&now, Type::INT8)];
        params.extend(wish.params());
        let answer = self.function("claim", params, Repeat::Flagged(2)).await?;
        let (claimed, mut events) = self.told(wish.read(&answer.rows, &request.consumer))?;
        events.extend(started(&claimed));
        self.tell(events, false);
        Ok(claimed)
    }

    async fn extend(
        &self,
        leases: Vec<LeaseRef>,
        lease: Duration,
    ) -> BrokerResult<Vec<LeaseStatus>> {
        if leases.is_empty() {
            return Ok(Vec::new());
        }
        let now = self.time();
        let ids: Vec<Uuid> = leases.iter().map(|lease| uuid(lease.run)).collect();
        let tokens: Vec<i64> = leases.iter().map(|lease| lease.token.as_i64()).collect();
        let lease = micros(lease);
        let params: Vec<Param<'_>> = vec![
            (&now, Type::INT8),
            (&ids, Type::UUID_ARRAY),
            (&tokens, Type::INT8_ARRAY),
            (&lease, Type::INT8),
        ];
        let answer = self.function("extend", params, Repeat::Harmless).await?;
        let mut held: HashMap<(Uuid, i64), bool> = HashMap::with_capacity(answer.rows.len());
        for row in &answer.rows {
            let read = || Ok(((row.try_get(0)?, row.try_get(1)?), row.try_get(2)?));
            let (lease, cancel) = self.told(read())?;
            held.insert(lease, cancel);
        }
        let status = |lease: (Uuid, i64)| match held.get(&lease) {
            None => LeaseStatus::Lost,
            Some(true) => LeaseStatus::CancelRequested,
            Some(false) => LeaseStatus::Held,
        };
        Ok(ids.into_iter().zip(tokens).map(status).collect())
    }

    async fn finish(&self, batch: Vec<(LeaseRef, Finish)>) -> BrokerResult<Vec<Finished>> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        self.end(&[], &batch).await
    }

    async fn report(&self, reports: Vec<Report>) -> BrokerResult<()> {
        if reports.is_empty() {
            return Ok(());
        }
        let news = News::of(&reports);
        let params = news.params().to_vec();
        let answer = self.function("report", params, Repeat::Harmless).await?;
        let mut told = Vec::with_capacity(answer.rows.len());
        for row in &answer.rows {
            told.push(self.told(row.try_get(0).map_err(Fault::from))?);
        }
        self.tell(finish::progress(told), false);
        Ok(())
    }

    async fn report_and_finish(
        &self,
        reports: Vec<Report>,
        batch: Vec<(LeaseRef, Finish)>,
    ) -> BrokerResult<Vec<Finished>> {
        if batch.is_empty() {
            self.report(reports).await?;
            return Ok(Vec::new());
        }
        self.end(&reports, &batch).await
    }

    async fn tick(&self, ticks: Vec<Tick>) -> BrokerResult<Vec<Ticked>> {
        if ticks.is_empty() {
            return Ok(Vec::new());
        }
        let list = tick::Ticks::of(&ticks);
        let lists = self.told(list.lists())?;
        let now = self.time();
        let at_once = self.teller.at_once();
        let mut params: Vec<Param<'_>> = vec![
            (&now, Type::INT8),
            (&at_once, Type::TEXT),
            (&false, Type::BOOL),
            (&list.tasks, Type::TEXT_ARRAY),
            (&list.instants, Type::INT8_ARRAY),
        ];
        params.extend(lists.tick_params(&list.run_tasks));
        let answer = self.function("tick", params, Repeat::Flagged(2)).await?;
        let (answers, events) = self.told(list.read(&ticks, self.only(&answer)?))?;
        self.tell(events, at_once.is_some());
        Ok(answers)
    }

    async fn last_ticks(&self) -> BrokerResult<BTreeMap<TaskName, Timestamp>> {
        let answer = self
            .link()
            .ask(&query::last_ticks(&self.link().schema))
            .await?;
        self.told(query::read_ticks(&answer.rows))
    }

    async fn cancel(&self, run: RunId) -> BrokerResult<Cancelled> {
        let now = self.time();
        let id = uuid(run);
        let params: Vec<Param<'_>> = vec![
            (&now, Type::INT8),
            (&self.teller.origin, Type::TEXT),
            (&false, Type::BOOL),
            (&id, Type::UUID),
        ];
        let answer = self.function("cancel", params, Repeat::Flagged(2)).await?;
        let row = self.only(&answer)?;
        let read = || {
            Ok((
                row.try_get(0)?,
                row.try_get(1)?,
                row.try_get::<_, Option<&str>>(2)?,
            ))
        };
        let (what, state, name): (i16, Option<i16>, _) = self.told(read())?;
        let name = || self.told(task(name.unwrap_or_default()));
        Ok(match what {
            0 => Cancelled::NotFound,
            1 => {
                let (task, state) = (name()?, RunState::Aborted);
                self.tell(vec![Event::Finished { run, task, state }], true);
                Cancelled::Aborted
            }
            2 => {
                self.tell(vec![Event::CancelRequested { run }], true);
                Cancelled::Requested
            }
            3 => Cancelled::Requested,
            _ => Cancelled::AlreadyFinished(self.told(coded(state.unwrap_or(-1), "state"))?),
        })
    }

    async fn retry(&self, filter: RunFilter, limit: usize) -> BrokerResult<Vec<RunId>> {
        self.do_once_more(&filter, limit).await
    }

    async fn purge(&self, filter: RunFilter, limit: usize) -> BrokerResult<usize> {
        self.delete(&filter, limit).await
    }

    async fn get(&self, run: RunId) -> BrokerResult<Option<TaskRun>> {
        let id = uuid(run);
        let answer = self
            .link()
            .ask(&query::get(&self.link().schema, &id))
            .await?;
        Ok(self.told(query::read_all(&answer.rows))?.pop())
    }

    async fn attempts(&self, run: RunId) -> BrokerResult<Vec<Attempt>> {
        let ids = vec![uuid(run)];
        let answer = self
            .link()
            .ask(&query::attempts(&self.link().schema, &ids))
            .await?;
        self.told(answer.rows.iter().map(query::read_attempt).collect())
    }

    async fn list(
        &self,
        filter: RunFilter,
        before: Option<RunId>,
        limit: usize,
    ) -> BrokerResult<Page> {
        let filter = query::filter(&filter);
        let before = before.map(uuid);
        // One more shows whether there is another page.
        let count = query::limit(limit).saturating_add(1);
        let statement = query::list(&self.link().schema, &filter, before.as_ref(), &count);
        let answer = self.link().ask(&statement).await?;
        self.told(query::page(&answer.rows, limit))
    }

    async fn export(&self, after: Option<RunId>, limit: usize) -> BrokerResult<Vec<ExportedRun>> {
        self.give(after, limit).await
    }

    async fn import(
        &self,
        runs: Vec<ExportedRun>,
        ticks: BTreeMap<TaskName, Timestamp>,
    ) -> BrokerResult<usize> {
        self.take_over(&runs, &ticks).await
    }

    async fn ended(
        &self,
        from: Timestamp,
        before: Timestamp,
    ) -> BrokerResult<Option<BTreeMap<RunState, u64>>> {
        let (from, before) = (from.as_microsecond(), before.as_microsecond());
        let ended = query::ended(&self.link().schema, &from, &before);
        let answer = self.link().ask(&ended).await?;
        self.told(query::read_ended(&answer.rows)).map(Some)
    }

    async fn stats(&self) -> BrokerResult<Stats> {
        let answer = self.link().ask(&query::stats(&self.link().schema)).await?;
        self.told(query::read_stats(&answer.rows))
    }

    async fn append_logs(&self, batches: Vec<LogBatch>) -> BrokerResult<()> {
        self.append(&batches).await
    }

    async fn read_logs(
        &self,
        run: RunId,
        after: u64,
        limit: usize,
    ) -> BrokerResult<Vec<StoredLine>> {
        let id = uuid(run);
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let limit = query::limit(limit);
        let statement = logs::read(&self.link().schema, &id, &after, &limit);
        let answer = self.link().ask(&statement).await?;
        self.told(answer.rows.iter().map(logs::read_line).collect())
    }

    async fn set_task_enabled(&self, task: TaskName, enabled: bool) -> BrokerResult<()> {
        self.switch(DISABLED, task.as_str(), !enabled).await
    }

    async fn set_queue_paused(&self, queue: QueueName, paused: bool) -> BrokerResult<()> {
        self.switch(PAUSED, queue.as_str(), paused).await
    }

    async fn settings(&self) -> BrokerResult<Settings> {
        self.switches().await
    }

    async fn heartbeat(&self, consumer: ConsumerInfo, ttl: Duration) -> BrokerResult<()> {
        self.lives(&consumer, ttl).await
    }

    async fn farewell(&self, consumer: ConsumerId) -> BrokerResult<()> {
        self.forget(&consumer).await
    }

    async fn consumers(&self) -> BrokerResult<Vec<ConsumerInfo>> {
        self.living().await
    }

    fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.listen()
    }
}
