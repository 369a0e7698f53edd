use fluid_core::task;

#[task(name = "re size", queue = "")]
async fn resize() {}

#[task]
async fn _hidden() {}

fn main() {}
