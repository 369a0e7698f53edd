use fluid_core::task;

#[task]
struct Resize;

fn main() {}
