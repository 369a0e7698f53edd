use fluid_core::task;

#[task]
fn resize() {}

fn main() {}
