use fluid_core::{Task, TaskContext, TaskDefinition, TaskError, task};

#[task]
async fn bare() {}

#[task()]
async fn nothing_in_brackets(_: TaskContext) {}

#[task(cpu_bound)]
async fn unit_context(ctx: TaskContext<()>) -> Result<(), TaskError> {
    ctx.progress(1.0, "done");
    Ok(())
}

type Fallible<T> = Result<T, std::io::Error>;

#[task]
async fn aliased_result() -> Fallible<Vec<u8>> {
    Ok(Vec::new())
}

#[task]
async fn infallible(mut ctx: fluid_core::TaskContext<()>) -> Result<u8, std::convert::Infallible> {
    ctx.params = ();
    Ok(1)
}

fn main() {
    let tasks: [Task; 5] = [
        bare.into(),
        nothing_in_brackets.into(),
        unit_context.task(),
        aliased_result.task(),
        infallible.into(),
    ];
    assert!(tasks.iter().all(|task| task.description.is_empty()));
}
