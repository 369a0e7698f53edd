//! `App` in a program of one's own.

use fluid_cli::core::{TaskContext, TaskError, task};
use fluid_cli::{App, Exit};

use crate::place::Place;

/// Adds a number to the one that all tasks share.
#[task(crate = fluid_cli::core)]
async fn add(ctx: TaskContext<Number>) -> Result<u64, TaskError> {
    let Number { n } = ctx.params;
    let shared = ctx.state::<u64>()?;
    if n == 0 {
        return Err(TaskError::fatal("nothing to add"));
    }
    Ok(shared.as_ref() + n)
}

#[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
struct Number {
    n: u64,
}

async fn adding(place: &Place, args: &[&str]) -> Exit {
    let config = place.path().join("fluid.toml");
    let before = [
        "adder",
        "--config",
        config.to_str().unwrap(),
        "--broker",
        "memory:",
        "--log",
        "warn",
    ];
    let app = App::new("adder").state(40_u64).task(add);
    app.run(before.iter().chain(args).map(Into::into)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_of_the_program_and_of_the_file_are_called_alike() {
    let place =
        Place::new("[tasks.good]\ncommand = [\"true\"]\n[tasks.bad]\ncommand = [\"false\"]\n");
    for (args, exit) in [
        (&["exec", "add", "--n", "2"] as &[&str], Exit::Done),
        (&["exec", "add", "--n", "0"], Exit::RunFailed),
        (&["exec", "add", "--n", "two"], Exit::Usage),
        (&["exec", "good"], Exit::Done),
        (&["exec", "bad"], Exit::RunFailed),
        (&["exec", "ugly"], Exit::NotFound),
        (&["status"], Exit::Usage),
        (&["--version"], Exit::Done),
    ] {
        assert_eq!(adding(&place, args).await, exit, "{args:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_stands_for_one_task_only() {
    let place = Place::new("[tasks.add]\ncommand = [\"true\"]\n");
    assert_eq!(adding(&place, &["ls"]).await, Exit::Usage);
}
