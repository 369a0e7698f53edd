use fluid_core::task;

#[task]
async fn resize(_path: Vec<String>) {}

#[task]
async fn thumbnail(_path: &fluid_core::TaskContext) {}

fn main() {}
