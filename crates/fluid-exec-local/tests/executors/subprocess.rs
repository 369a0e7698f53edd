//! The suite for the subprocess executor.

use std::sync::Arc;

use fluid_core::Executor;
use fluid_testing::executor::ExecutorHarness;

use crate::children;

struct Subprocess;

impl ExecutorHarness for Subprocess {
    fn executor(&self) -> Arc<dyn Executor> {
        Arc::new(children::executor())
    }
}

async fn subprocess() -> Subprocess {
    Subprocess
}

fluid_testing::executor_conformance!(subprocess);

mod programs {
    fluid_testing::program_conformance!(super::subprocess);
}
