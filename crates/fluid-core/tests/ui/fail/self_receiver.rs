use fluid_core::task;

struct Images;

impl Images {
    #[task]
    async fn resize(&self) {}
}

fn main() {}
