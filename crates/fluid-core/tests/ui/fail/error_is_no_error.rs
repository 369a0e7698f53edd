use fluid_core::task;

#[task]
async fn resize() -> Result<u32, String> {
    Ok(7)
}

fn main() {}
