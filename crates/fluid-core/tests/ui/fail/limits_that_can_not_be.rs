use fluid_core::task;

#[task(rate_limit(limit = 0, period = "1m"))]
async fn nothing_may_start() {}

#[task(rate_limit(limit = 5))]
async fn no_period() {}

#[task(max_concurrency = -1)]
async fn negative() {}

#[task(max_concurrency = 5000000000)]
async fn too_large() {}

#[task(unique(by("path", "")))]
async fn empty_parameter() {}

fn main() {}
