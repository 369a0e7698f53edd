use std::rc::Rc;

use fluid_core::task;

#[task]
async fn resize() {
    let shared = Rc::new(1);
    std::future::ready(()).await;
    drop(shared);
}

fn main() {}
