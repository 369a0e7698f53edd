use fluid_core::{TaskContext, task};

#[task]
async unsafe fn dangerous() {}

#[task]
async extern "C" fn foreign() {}

#[task]
async fn generic<T>(_ctx: TaskContext<T>) {}

#[task]
async fn lifetime<'a>(_ctx: TaskContext<&'a str>) {}

fn main() {}
