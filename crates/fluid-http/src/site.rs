//! What every handler works with.

use std::ops::Deref;
use std::sync::Arc;

use fluid_scheduler::TaskManager;

use crate::options::HttpOptions;
use crate::ui;

/// The tasks, their broker and the options. Cloning is cheap.
#[derive(Debug, Clone)]
pub(crate) struct Site(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) manager: TaskManager,
    pub(crate) options: HttpOptions,
    /// What the dashboard's tabs share.
    pub(crate) shared: ui::Shared,
}

impl Site {
    pub(crate) fn new(manager: TaskManager, options: HttpOptions) -> Self {
        Self(Arc::new(Inner {
            manager,
            options,
            shared: ui::Shared::default(),
        }))
    }
}

impl Deref for Site {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}
