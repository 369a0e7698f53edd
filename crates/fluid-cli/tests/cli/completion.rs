//! Completion in shells.

use std::process::Command;

use assert_cmd::cargo::cargo_bin;

use crate::place::Place;
use crate::terminal::Terminal;

const TASKS: &str = "
[tasks.resize]
command = [\"true\"]
params = { properties = { max_width = { type = \"integer\" }, mode = { enum = [\"fit\", \"fill\"] } } }
";

#[test]
fn every_shell_has_a_script() {
    let place = Place::new(TASKS);
    for (shell, mark) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef fluid-cli"),
        ("fish", "complete -c fluid-cli"),
        ("powershell", "Register-ArgumentCompleter"),
        ("elvish", "edit:completion:arg-completer"),
    ] {
        let said = place.fluid(&["completion", shell]);
        assert!(said.code == 0 && said.err.is_empty(), "{said}");
        assert!(
            said.out.contains(mark) && said.out.contains("max-width"),
            "{shell}:\n{}",
            said.out
        );
    }
}

#[test]
fn bash_completes_commands_tasks_and_flags_at_the_tab_key() {
    let place = Place::new(TASKS);
    let script = place.fluid(&["completion", "bash"]).out;
    place.write("completion.bash", script);
    let folder = cargo_bin!("fluid-cli").parent().unwrap().to_owned();
    let path = std::env::join_paths([folder, "/usr/bin".into(), "/bin".into()]).unwrap();
    let mut bash = Command::new("bash");
    bash.args(["--noprofile", "--norc", "-i"])
        .current_dir(place.path());
    bash.env_clear().env("PATH", path).env("PS1", "ready> ");
    let mut bash = Terminal::start(bash);
    bash.until("prompt", |screen| screen.contains("ready>"));
    bash.keys("bind 'set enable-bracketed-paste off'; bind 'set bell-style none'; . ./completion.bash; clear\r");
    bash.until("clear screen", |screen| screen.trim() == "ready>");
    for (typed, completed) in [
        ("fluid-cli sta\t", "fluid-cli status"),
        ("fluid-cli runs sh\t", "fluid-cli runs show"),
        ("fluid-cli enqueue res\t", "fluid-cli enqueue resize"),
        (
            "fluid-cli exec resize --max\t",
            "fluid-cli exec resize --max-width",
        ),
        ("fluid-cli runs list --sta\t", "fluid-cli runs list --state"),
        ("fluid-cli --output js\t", "fluid-cli --output json"),
        ("fluid-cli completion z\t", "fluid-cli completion zsh"),
    ] {
        bash.keys(typed);
        bash.until(completed, |screen| {
            screen
                .lines()
                .last()
                .is_some_and(|line| line.contains(completed))
        });
        // Control-U takes the line away.
        bash.keys("\u{15}");
        bash.until("empty line", |screen| screen.trim_end().ends_with("ready>"));
    }
    bash.keys("fluid-cli runs \t\t");
    bash.until("choice", |screen| {
        ["cancel", "list", "logs", "purge", "retry", "show"]
            .iter()
            .all(|word| screen.contains(word))
    });
}
