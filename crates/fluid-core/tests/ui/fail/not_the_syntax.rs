use fluid_core::task;

#[task("resize")]
async fn text() {}

#[task(timeout: "5m")]
async fn colon() {}

#[task(cpu_bound queue = "images")]
async fn no_comma() {}

#[task(name = )]
async fn no_value() {}

fn main() {}
