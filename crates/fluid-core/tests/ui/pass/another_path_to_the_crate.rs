mod facade {
    pub use fluid_core as core;
}

use facade::core::{K8sConfig, TaskContext, TaskDefinition};

#[facade::core::task(
    crate = facade::core,
    cpu_bound,
    priority = "low",
    retry(attempts = 2, on("exit")),
    rate_limit(limit = 1, period = "1s"),
    k8s_config = K8sConfig::default().namespace("workers")
)]
async fn resize(ctx: TaskContext) {
    drop(ctx);
}

fn main() {
    assert!(resize.task().cpu_bound);
}
