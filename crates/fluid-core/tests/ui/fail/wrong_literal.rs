use fluid_core::task;

#[task(
    name = 3,
    cpu_bound = "yes",
    queue = images,
    timeout = true,
    retry = 3,
    missed,
    max_concurrency = "2",
    tags = "images",
    env(KEY = 1),
    crate = "fluid_core",
    schedule(every = "1m"),
    rate_limit(limit = 1.5, period = "1m"),
    unique = true
)]
async fn resize() {}

fn main() {}
