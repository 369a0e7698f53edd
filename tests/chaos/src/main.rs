//! `cargo xtask chaos`: consumers and schedulers in processes of their own on a real broker, which are killed, paused
//! and cut off from it, with clocks that differ; and a proof that nothing was lost or done twice.

mod arguments;
mod child;
mod client;
mod crew;
mod death;
mod machine;
mod plan;
mod proxy;
mod report;
mod rest;
mod store;
mod storm;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command};

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    // What is awaited here runs on the main thread, so that processes whose death is bound to that of the thread which
    // started them live as long as this one.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    match &arguments.command {
        Some(Command::Child(child)) => {
            runtime.block_on(child::run(child))?;
            Ok(ExitCode::SUCCESS)
        }
        None => runtime.block_on(storm::all(&arguments)),
    }
}
