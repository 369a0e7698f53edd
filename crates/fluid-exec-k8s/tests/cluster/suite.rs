//! The conformance suite for executors.

use std::sync::Arc;

use fluid_core::{Executor, Task};
use fluid_exec_k8s::K8sExecutor;
use fluid_testing::executor::ExecutorHarness;

use crate::place;

struct Jobs(K8sExecutor);

impl ExecutorHarness for Jobs {
    fn executor(&self) -> Arc<dyn Executor> {
        Arc::new(self.0.clone())
    }

    fn place(&self, task: Task) -> Task {
        task.k8s_config(place::config())
    }

    /// A Secret holds 1 MiB.
    fn largest_params(&self) -> usize {
        1000 * 1024
    }

    /// A termination message is 4 KiB, and its form takes some of it.
    fn largest_result(&self) -> usize {
        4000
    }
}

async fn jobs() -> Jobs {
    Jobs(place::executor().await)
}

fluid_testing::executor_conformance!(
    #[ignore = "needs a cluster"]
    jobs
);

mod programs {
    fluid_testing::program_conformance!(
        #[ignore = "needs a cluster"]
        super::jobs
    );
}

mod survival {
    fluid_testing::survival_conformance!(
        #[ignore = "needs a cluster"]
        super::jobs
    );
}
