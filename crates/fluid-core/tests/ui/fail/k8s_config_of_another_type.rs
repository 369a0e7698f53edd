use fluid_core::task;

#[task(cpu_bound, k8s_config = "workers")]
async fn resize() {}

fn main() {}
