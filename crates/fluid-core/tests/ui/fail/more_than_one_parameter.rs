use fluid_core::{TaskContext, task};

#[task]
async fn resize(_ctx: TaskContext, _path: String, _width: u32) {}

fn main() {}
