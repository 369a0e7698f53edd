//! What is generated gives the lints of a strict program nothing to say.
#![deny(warnings, missing_docs, unreachable_pub, unused, rust_2018_idioms)]

use fluid_core::{TaskContext, TaskDefinition, TaskError, task};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Resize {
    /// Where it is.
    pub path: String,
}

/// Makes a picture smaller.
#[task(retry(attempts = 3), schedule(cron = "0 3 * * *"), unique, env(A = "b"), tags("t"))]
pub async fn resize(ctx: TaskContext<Resize>) -> Result<String, TaskError> {
    Ok(ctx.params.path)
}

mod inner {
    use fluid_core::task;

    /// Seen by its parent.
    #[task]
    pub(super) async fn seen() {}
}

fn main() {
    /// In a function's body.
    #[task]
    async fn local() {}

    let _ = (resize.task(), local.task(), inner::seen.name(), local::call());
}
