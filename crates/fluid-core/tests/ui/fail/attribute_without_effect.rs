use fluid_core::task;

#[task(missed = "all")]
async fn never_scheduled() {}

#[task(concurrency_key = "customer")]
async fn no_limit() {}

#[task(cpu_bound, executor = "inline")]
async fn inside_and_outside() {}

fn main() {}
