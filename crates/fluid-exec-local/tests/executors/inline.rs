//! The suite for the inline executor.

use std::sync::Arc;

use fluid_core::Executor;
use fluid_exec_local::InlineExecutor;
use fluid_testing::executor::ExecutorHarness;

struct Inline;

impl ExecutorHarness for Inline {
    fn executor(&self) -> Arc<dyn Executor> {
        Arc::new(InlineExecutor)
    }
}

async fn inline() -> Inline {
    Inline
}

fluid_testing::executor_conformance!(inline);
