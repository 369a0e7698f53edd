//! The commands.

mod completion;
mod dashboard;
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
mod transfer;

use std::sync::Arc;

use crate::args::Action;
use crate::failure::Done;
use crate::session::Session;

pub(crate) async fn run(session: Arc<Session>, action: Action) -> Done {
    match action {
        Action::Serve(args) => serve::serve(&session, &args).await,
        Action::Dashboard(args) => dashboard::dashboard(&session, &args).await,
        Action::Exec(call) => exec::exec(session, &call).await,
        Action::Enqueue(call) => enqueue::enqueue(&session, &call).await,
        Action::Ls(args) => tasks::list(&session, &args).await,
        Action::Enable(args) => tasks::switch(&session, &args, true).await,
        Action::Disable(args) => tasks::switch(&session, &args, false).await,
        Action::Pause(args) => tasks::pause(&session, &args, true).await,
        Action::Resume(args) => tasks::pause(&session, &args, false).await,
        Action::Runs(action) => runs::run(&session, action).await,
        Action::Status => status::status(&session).await,
        Action::Migrate => transfer::migrate(&session).await,
        Action::Move(args) => transfer::transfer(&session, &args).await,
        #[cfg(feature = "k8s")]
        Action::K8s(action) => k8s::run(&session, &action).await,
        #[cfg(not(feature = "k8s"))]
        Action::K8s(_) => Err(
            crate::failure::Failure::usage("Kubernetes is not in this build")
                .help("use a build with the feature k8s"),
        ),
        Action::Init(args) => init::init(&session, &args),
        Action::Completion(args) => completion::completion(&session, &args),
    }
}
