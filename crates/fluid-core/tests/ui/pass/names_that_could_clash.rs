// Task functions with the names of everything that the expansion could have called its own, in a module that has its
// own ideas of the usual names.
#![allow(dead_code, non_camel_case_types)]

struct Option;
struct Result;
struct String;
struct Some;
mod std {}
mod core {}

#[fluid_core::task(timeout = "1s", concurrency_key = "a", max_concurrency = 1, unique(window = 5), env(A = "b"))]
async fn task() {}

#[fluid_core::task]
async fn context() {}

#[fluid_core::task]
async fn call() {}

#[fluid_core::task]
async fn name() {}

#[fluid_core::task]
async fn r#match() {}

#[fluid_core::task]
#[cfg(any())]
async fn compiled_out() -> NoSuchType {}

fn main() {
    let all = [task.into(), context.into(), call.into(), name.into(), r#match.into()];
    let names = all.map(|made: fluid_core::Task| made.name.to_string());
    assert_eq!(names, ["task", "context", "call", "name", "match"]);
}
