//! The runs that wait for one thing, in the order of claiming, read page by page.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use fluid_core::TaskLimits;
use rusqlite::{OptionalExtension, Row};

use crate::error::Outcome;
use crate::place::{Kind, Lane};
use crate::sql;
use crate::store::Writing;

/// Runs behind full keys that are passed over one by one before each key is asked for its first run.
const PASS_OVER: usize = 200;
/// How many runs are read at once: as many as are wanted at first, then twice as many each time.
const FIRST_PAGE: usize = 16;
const LAST_PAGE: usize = 512;

/// A run's place in the order of claiming: priority, due time, arrival.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Head {
    pub(crate) priority: i64,
    pub(crate) due_at: i64,
    pub(crate) seq: i64,
    pub(crate) key: Arc<str>,
}

/// What the runs wait for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Every(Kind),
    /// A consumer, with this concurrency key.
    Key(Arc<str>),
}

/// The first run of everything that may be claimed from, most urgent first.
#[derive(Debug, Default)]
pub(crate) struct Front<'a> {
    firsts: BTreeMap<Head, Heads<'a>>,
}

impl<'a> Front<'a> {
    /// The most urgent run, and where it comes from.
    pub(crate) fn pop(&mut self) -> Option<(Head, Heads<'a>)> {
        self.firsts.pop_first()
    }

    /// Lets the next of these runs take part.
    pub(crate) fn add(&mut self, on: &Writing, mut heads: Heads<'a>) -> Outcome<()> {
        if let Some(head) = heads.next(on)? {
            self.firsts.insert(head, heads);
        }
        Ok(())
    }

    /// Goes on behind a run whose slot is full. Those behind it have the same slot, unless they have a key.
    pub(crate) fn pass_over(&mut self, on: &Writing, mut heads: Heads<'a>) -> Outcome<()> {
        if heads.source != Source::Every(Kind::Keyed) {
            return Ok(());
        }
        heads.passed_over += 1;
        if heads.passed_over < PASS_OVER {
            return self.add(on, heads);
        }
        for key in heads.keys(on)? {
            self.add(on, key)?;
        }
        Ok(())
    }
}

/// The runs of one task in one queue that wait for the same.
#[derive(Debug)]
pub(crate) struct Heads<'a> {
    pub(crate) source: Source,
    pub(crate) task: i64,
    pub(crate) limits: &'a TaskLimits,
    pub(crate) queue: i64,
    page: VecDeque<Head>,
    page_size: usize,
    after: (i64, i64, i64),
    passed_over: usize,
    at_end: bool,
}

impl<'a> Heads<'a> {
    pub(crate) fn new(
        source: Source,
        task: i64,
        queue: i64,
        limits: &'a TaskLimits,
        wanted: usize,
    ) -> Self {
        Self {
            source,
            task,
            limits,
            queue,
            page: VecDeque::new(),
            page_size: wanted.clamp(FIRST_PAGE, LAST_PAGE),
            after: (0, i64::MIN, i64::MIN),
            passed_over: 0,
            at_end: false,
        }
    }

    fn next(&mut self, on: &Writing) -> Outcome<Option<Head>> {
        if self.page.is_empty() && !self.at_end {
            self.read_page(on)?;
        }
        Ok(self.page.pop_front())
    }

    /// Each key's runs by themselves.
    fn keys(&self, on: &Writing) -> Outcome<Vec<Self>> {
        let mut next = on.base.connection.prepare_cached(sql::NEXT_KEY)?;
        let mut keys = Vec::new();
        let mut last: Arc<str> = "".into();
        loop {
            let key = next.query_row((self.queue, self.task, &*last), |row| {
                row.get::<_, Arc<str>>(0)
            });
            let Some(key) = key.optional()? else {
                return Ok(keys);
            };
            last = Arc::clone(&key);
            let source = Source::Key(key);
            keys.push(Self {
                // Most keys are full, or soon are.
                page_size: 1,
                ..Self::new(source, self.task, self.queue, self.limits, 1)
            });
        }
    }

    fn read_page(&mut self, on: &Writing) -> Outcome<()> {
        let connection = &on.base.connection;
        let (priority, due_at, seq) = self.after;
        let size = i64::try_from(self.page_size).unwrap_or(i64::MAX);
        self.page = match &self.source {
            Source::Every(kind) => {
                let lane = Lane::new(*kind, self.task, self.queue);
                let after = (lane.last, lane.first + priority, due_at, seq, size);
                let head = |row: &Row<'_>, key| {
                    let place: i64 = row.get(0)?;
                    head(row, place - lane.first, key)
                };
                if *kind == Kind::Keyed {
                    let mut heads = connection.prepare_cached(sql::HEAD_KEYED)?;
                    heads
                        .query_map(after, |row| head(row, row.get(3)?))?
                        .collect::<Result<_, _>>()?
                } else {
                    let none: Arc<str> = "".into();
                    let mut heads = connection.prepare_cached(sql::HEAD)?;
                    heads
                        .query_map(after, |row| head(row, Arc::clone(&none)))?
                        .collect::<Result<_, _>>()?
                }
            }
            Source::Key(key) => {
                let mut heads = connection.prepare_cached(sql::HEAD_KEY)?;
                let after = (self.queue, self.task, &**key, priority, due_at, seq, size);
                heads
                    .query_map(after, |row| head(row, row.get(0)?, Arc::clone(key)))?
                    .collect::<Result<_, _>>()?
            }
        };
        self.at_end = self.page.len() < self.page_size;
        self.page_size = (self.page_size * 2).min(LAST_PAGE);
        if let Some(last) = self.page.back() {
            self.after = (last.priority, last.due_at, last.seq);
        }
        Ok(())
    }
}

fn head(row: &Row<'_>, priority: i64, key: Arc<str>) -> rusqlite::Result<Head> {
    Ok(Head {
        priority,
        due_at: row.get(1)?,
        seq: row.get(2)?,
        key,
    })
}
