use fluid_core::{TaskDefinition, task};

#[task(name = "a b", timeout = "soon", retry(attempts = 0), colour = "red")]
async fn resize() {}

fn main() {
    // The name is there for the rest of the program, so nothing is said about it here.
    let _ = resize.task();
}
