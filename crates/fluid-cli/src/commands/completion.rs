//! `completion`.

use clap_complete::{Shell, generate};

use crate::args::{CompletionArgs, command_for};
use crate::exit::Exit;
use crate::failure::Done;
use crate::session::Session;

/// Prints the script for a shell. It knows the tasks that are declared now.
pub(super) fn completion(session: &Session, args: &CompletionArgs) -> Done {
    let (name, tasks) = (&session.name, session.tasks.iter());
    let mut command = command_for(name, &session.version, "", tasks);
    let mut script = Vec::new();
    generate(args.shell, &mut command, name, &mut script);
    let mut script = String::from_utf8_lossy(&script).into_owned();
    if args.shell == Shell::Bash {
        script = mended(&script, name);
    }
    session.output.line(script.trim_end())?;
    Ok(Exit::Done)
}

/// `clap_complete` 4.6 enters the states of a program with a hyphen in its name under one name and looks them up
/// under another, so that nothing after the first word would be completed (clap-rs/clap#6421).
fn mended(script: &str, name: &str) -> String {
    let looked_up = format!("{}__subcmd__", name.replace('-', "__subcmd__"));
    let entered = format!("{}__subcmd__", name.replace('-', "__"));
    script.replace(&looked_up, &entered)
}
