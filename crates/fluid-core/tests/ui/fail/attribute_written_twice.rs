use fluid_core::task;

#[task(queue = "a", queue = "b", retry(attempts = 2, attempts = 3), env(A = "1", A = "2"), tags("x", "x"))]
async fn resize() {}

fn main() {}
