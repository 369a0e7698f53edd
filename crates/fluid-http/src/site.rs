//! What every handler works with.

use std::ops::Deref;
use std::sync::Arc;

use fluid_scheduler::TaskManager;

use crate::access::Access;
use crate::options::HttpOptions;

/// The tasks, their broker and the options. Cloning is cheap.
#[derive(Debug, Clone)]
pub(crate) struct Site(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) manager: TaskManager,
    pub(crate) options: HttpOptions,
}

impl Site {
    pub(crate) fn new(manager: TaskManager, options: HttpOptions) -> Self {
        Self(Arc::new(Inner { manager, options }))
    }

    /// Whether everybody who reaches it may do everything, so that pages warn of it.
    #[allow(dead_code, reason = "the pages ask next")]
    pub(crate) fn lets_everybody_in(&self) -> bool {
        matches!(self.options.access, Access::Open)
    }
}

impl Deref for Site {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}
