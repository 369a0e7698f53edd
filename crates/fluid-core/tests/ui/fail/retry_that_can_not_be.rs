use fluid_core::task;

#[task(retry(attempts = 0, backoff = -1.0, jitter = 1.5))]
async fn out_of_range() {}

#[task(retry(delay = "2s"))]
async fn no_attempts() {}

#[task(retry())]
async fn empty() {}

#[task(retry(attempts = 3, delay = "2h"))]
async fn longer_than_the_longest() {}

#[task(retry(attempts = 3, on("error", "aborted", "lost")))]
async fn never_retried() {}

#[task(retry(attempts = 3, on()))]
async fn no_kind() {}

fn main() {}
