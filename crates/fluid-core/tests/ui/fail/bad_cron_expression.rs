use fluid_core::task;

#[task(schedule(cron = "61 * * * *"))]
async fn out_of_range() {}

#[task(schedule(cron = "at noon"))]
async fn words() {}

#[task(schedule(cron = "0 3 30 2 *"))]
async fn never_true() {}

fn main() {}
