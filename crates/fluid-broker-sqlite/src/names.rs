//! Tasks, queues and consumers are numbers in the file; here are their names.

use std::hash::Hash;

use fluid_core::{ConsumerId, QueueName, TaskName};
use foldhash::HashMap;
use rusqlite::{Connection, OptionalExtension};

use crate::error::{Fault, Outcome};
use crate::sql;

/// The numbers that a connection has met so far. No process ever changes or deletes one.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) tasks: Numbered<TaskName>,
    pub(crate) queues: Numbered<QueueName>,
    /// Those that claimed something.
    pub(crate) consumers: Numbered<ConsumerId>,
}

impl Names {
    pub(crate) fn new() -> Self {
        Self {
            tasks: Numbered::new(sql::TASK_ID, sql::TASK_ADD, sql::TASK_NAME),
            queues: Numbered::new(sql::QUEUE_ID, sql::QUEUE_ADD, sql::QUEUE_NAME),
            consumers: Numbered::new(sql::CONSUMER_ID, sql::CONSUMER_ADD, sql::CONSUMER_NAME),
        }
    }

    /// Forgets everything: a transaction that may have added names was rolled back.
    pub(crate) fn forget(&mut self) {
        *self = Self::new();
    }
}

/// One table of names.
#[derive(Debug)]
pub(crate) struct Numbered<N> {
    numbers: HashMap<N, i64>,
    names: HashMap<i64, N>,
    find: &'static str,
    add: &'static str,
    name: &'static str,
}

impl<N> Numbered<N>
where
    N: Clone + Eq + Hash + AsRef<str> + TryFrom<String, Error = fluid_core::NameError>,
{
    fn new(find: &'static str, add: &'static str, name: &'static str) -> Self {
        Self {
            numbers: HashMap::default(),
            names: HashMap::default(),
            find,
            add,
            name,
        }
    }

    fn keep(&mut self, name: &N, number: i64) {
        self.numbers.insert(name.clone(), number);
        self.names.insert(number, name.clone());
    }

    /// The number of a name, if the file has it.
    pub(crate) fn find(&mut self, connection: &Connection, name: &N) -> Outcome<Option<i64>> {
        if let Some(number) = self.numbers.get(name) {
            return Ok(Some(*number));
        }
        let mut find = connection.prepare_cached(self.find)?;
        let number = find
            .query_row([name.as_ref()], |row| row.get(0))
            .optional()?;
        if let Some(number) = number {
            self.keep(name, number);
        }
        Ok(number)
    }

    /// The number of a name, which the file gets if it has it not.
    pub(crate) fn number(&mut self, connection: &Connection, name: &N) -> Outcome<i64> {
        if let Some(number) = self.find(connection, name)? {
            return Ok(number);
        }
        let number = connection
            .prepare_cached(self.add)?
            .insert([name.as_ref()])?;
        self.keep(name, number);
        Ok(number)
    }

    /// The name of a number.
    pub(crate) fn name(&mut self, connection: &Connection, number: i64) -> Outcome<N> {
        if let Some(name) = self.names.get(&number) {
            return Ok(name.clone());
        }
        let mut find = connection.prepare_cached(self.name)?;
        let text: Option<String> = find.query_row([number], |row| row.get(0)).optional()?;
        let text = text
            .ok_or_else(|| Fault::Corrupt(format!("there is no name with the number {number}")))?;
        let name = N::try_from(text).map_err(|error| Fault::Corrupt(error.to_string()))?;
        self.keep(&name, number);
        Ok(name)
    }
}
