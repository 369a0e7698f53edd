use fluid_core::task;

#[task]
async fn resize() -> u32 {
    7
}

fn main() {}
