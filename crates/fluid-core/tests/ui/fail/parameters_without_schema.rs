use fluid_core::{TaskContext, task};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Resize {
    path: String,
}

#[task]
async fn resize(ctx: TaskContext<Resize>) {
    drop(ctx.params.path);
}

fn main() {}
