use fluid_core::task;

#[task(
    timeout = "soon",
    retry(attempts = 2, delay = -5, max_delay = 5s),
    schedule(every = "5 parsecs", delay = "-1s", jitter = "1e999"),
    rate_limit(limit = 1, period = 0),
    unique(window = ""),
)]
async fn resize() {}

#[task(timeout = 0)]
async fn never() {}

fn main() {}
