//! The executors of one consumer and which task goes to which.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use fluid_core::{Executor, ExecutorKind, Task};

/// The executors that a consumer has. `cpu_bound` tasks go to the heavy one.
#[derive(Clone)]
pub struct Executors {
    heavy: ExecutorKind,
    by_kind: BTreeMap<ExecutorKind, Arc<dyn Executor>>,
}

impl Executors {
    /// No executor yet; `cpu_bound` tasks will go to the one of kind `heavy`.
    pub fn new(heavy: ExecutorKind) -> Self {
        Self {
            heavy,
            by_kind: BTreeMap::new(),
        }
    }

    /// Adds an executor; a second one of the same kind replaces the first.
    #[must_use]
    pub fn with(mut self, executor: Arc<dyn Executor>) -> Self {
        self.by_kind.insert(executor.kind(), executor);
        self
    }

    /// The kind that `cpu_bound` tasks go to.
    pub fn heavy(&self) -> ExecutorKind {
        self.heavy
    }

    /// Every executor.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<dyn Executor>> {
        self.by_kind.values()
    }

    /// The executor for a task, or the kind that is missing.
    ///
    /// # Errors
    /// The kind of executor that the task needs and that was not added.
    pub fn of(&self, task: &Task) -> Result<&Arc<dyn Executor>, ExecutorKind> {
        let kind = task.executor_with(self.heavy);
        self.by_kind.get(&kind).ok_or(kind)
    }
}

impl fmt::Debug for Executors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: Vec<_> = self.by_kind.keys().map(|kind| kind.as_str()).collect();
        write!(
            f,
            "Executors({}; cpu_bound to {})",
            kinds.join(", "),
            self.heavy
        )
    }
}
