//! The conformance suite for executors.

use std::sync::Arc;

use fluid_core::{Executor, K8sConfig, Task};
use fluid_exec_k8s::K8sExecutor;
use fluid_testing::executor::ExecutorHarness;

use crate::place;

struct Jobs {
    executor: K8sExecutor,
    config: K8sConfig,
}

impl ExecutorHarness for Jobs {
    fn executor(&self) -> Arc<dyn Executor> {
        Arc::new(self.executor.clone())
    }

    fn place(&self, task: Task) -> Task {
        task.k8s_config(self.config.clone())
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
    let place = place::shared().await;
    Jobs {
        executor: place.executor(),
        config: place.config(),
    }
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
