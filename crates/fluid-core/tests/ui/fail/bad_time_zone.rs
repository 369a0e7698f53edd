use fluid_core::task;

#[task(schedule(cron = "0 3 * * *", timezone = "Europe Zurich"))]
async fn space() {}

#[task(schedule(cron = "0 3 * * *", timezone = "+01:00"))]
async fn offset() {}

fn main() {}
