use fluid_core::task;

#[task(
    priority = "hihg",
    executor = "thread",
    missed = "none",
    rate_limit(limit = 1, period = "1s", exceeded = "drop"),
    retry(attempts = 2, on("timeout", "crash")),
    schedule(every = "1m")
)]
async fn resize() {}

fn main() {}
