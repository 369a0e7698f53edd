//! The commands.

mod enqueue;
mod exec;
mod follow;
mod init;
#[cfg(feature = "k8s")]
mod k8s;
mod runs;
mod serve;
mod status;
mod story;
mod tasks;

use std::sync::Arc;

use clap_complete::generate;

use crate::args::{Action, command_for};
use crate::exit::Exit;
use crate::failure::Done;
#[cfg(not(feature = "k8s"))]
use crate::failure::Failure;
use crate::session::Session;

pub(crate) async fn run(session: Arc<Session>, action: Action) -> Done {
    match action {
        Action::Serve(args) => serve::serve(&session, &args).await,
        Action::Exec(call) => exec::exec(session, &call).await,
        Action::Enqueue(call) => enqueue::enqueue(&session, &call).await,
        Action::Ls(args) => tasks::list(&session, &args).await,
        Action::Enable(args) => tasks::switch(&session, &args, true).await,
        Action::Disable(args) => tasks::switch(&session, &args, false).await,
        Action::Pause(args) => tasks::pause(&session, &args, true).await,
        Action::Resume(args) => tasks::pause(&session, &args, false).await,
        Action::Runs(action) => runs::run(&session, action).await,
        Action::Status => status::status(&session).await,
        #[cfg(feature = "k8s")]
        Action::K8s(action) => k8s::run(&session, &action).await,
        #[cfg(not(feature = "k8s"))]
        Action::K8s(_) => Err(Failure::usage("Kubernetes is not in this build")
            .help("use a build with the feature k8s")),
        Action::Init(args) => init::init(&session, &args),
        Action::Completion(args) => {
            let tasks = session.tasks.iter();
            let mut command = command_for(&session.name, &session.version, "", tasks);
            let mut script = Vec::new();
            generate(args.shell, &mut command, session.name.clone(), &mut script);
            session
                .output
                .line(String::from_utf8_lossy(&script).trim_end())?;
            Ok(Exit::Done)
        }
    }
}
