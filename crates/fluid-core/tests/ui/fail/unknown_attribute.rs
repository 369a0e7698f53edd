use fluid_core::task;

#[task(prioritty = "high", colour = "red", retry(atempts = 3))]
async fn resize() {}

fn main() {}
