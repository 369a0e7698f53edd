use fluid_core::task;

#[task(schedule(every = "5m", cron = "0 3 * * *"))]
async fn both() {}

#[task(schedule(jitter = "5s"))]
async fn neither() {}

#[task(schedule)]
async fn bare() {}

#[task(schedule(every = "5m", timezone = "UTC"))]
async fn zone_of_an_interval() {}

#[task(schedule(cron = "0 3 * * *", delay = "5m"))]
async fn delay_of_a_cron_expression() {}

#[task(schedule(every = "10us"))]
async fn too_short() {}

#[task(schedule(every = "1m", jitter = 60))]
async fn jitter_too_long() {}

fn main() {}
