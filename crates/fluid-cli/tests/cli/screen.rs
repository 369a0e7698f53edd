//! What a person sees on a terminal.

use rustix::process::Signal;

use crate::place::{Place, assert_told};
use crate::serving::Process;
use crate::terminal::Terminal;

/// Tasks that go on until a file is there, so that a test can look at them in between.
const TASKS: &str = r#"
[tasks.steps]
description = "Tells how far it is"
shell = """
echo "first line"
echo "::progress 0.5 half of it"
until test -e go; do sleep 0.05; done
echo "last line"
printf '"done"' > "$FLUID_RESULT_PATH"
"""
timeout = "none"

[tasks.silent]
shell = "until test -e go; do sleep 0.05; done"
timeout = "none"

[tasks.quick]
command = ["true"]
"#;

fn bar(screen: &str) -> Option<&str> {
    screen
        .lines()
        .find(|line| line.contains('█') || line.contains('░') || line.contains("50%"))
}

#[test]
fn exec_shows_progress_while_it_takes_and_leaves_only_output() {
    let place = Place::new(TASKS);
    let exec = Terminal::start(place.command(&["exec", "steps"]));
    let screen = exec.until("progress", |screen| screen.contains("50%"));
    let bar = bar(&screen).unwrap();
    assert!(
        bar.starts_with("steps ") && bar.ends_with("half of it"),
        "{screen}"
    );
    assert!(screen.starts_with("first line\n"), "{screen}");
    place.write("go", "");
    let (screen, status) = exec.end();
    assert_eq!(status.code(), Some(0));
    assert_eq!(screen, "first line\nlast line\n\"done\"");
}

#[test]
fn exec_of_a_task_that_says_nothing_shows_that_it_goes_on() {
    let place = Place::new(TASKS);
    let exec = Terminal::start(place.command(&["exec", "silent"]));
    let screen = exec.until("sign of life", |screen| screen.starts_with("silent "));
    assert!(!screen.contains('%'), "{screen}");
    place.write("go", "");
    assert_eq!(exec.end().0, "");
}

#[test]
fn what_is_quick_or_not_to_be_shown_draws_nothing() {
    let place = Place::new(TASKS);
    let quick = Terminal::start(place.command(&["exec", "quick"])).end().0;
    assert_eq!(quick, "");
    let mut watched = Process::start(place.command(&["exec", "steps"]));
    watched.until("first line");
    let plain = Terminal::start(place.command(&["exec", "steps", "--no-progress"]));
    plain.until("output", |screen| screen.contains("first line"));
    place.write("go", "");
    assert!(
        !watched.end().1.contains('%'),
        "no progress without a terminal"
    );
    let raw = plain.raw();
    let (screen, _) = plain.end();
    assert_eq!(screen, "first line\nlast line\n\"done\"");
    assert!(!raw.contains('%'), "{raw}");
}

#[test]
fn ctrl_c_takes_the_bar_away() {
    let place = Place::new(TASKS);
    let exec = Terminal::start(place.command(&["exec", "steps"]));
    exec.until("progress", |screen| screen.contains("50%"));
    exec.signal(Signal::INT);
    let (screen, status) = exec.end();
    assert_eq!(status.code(), Some(130));
    assert_eq!(screen, "first line\nerror: interrupted");
}

#[test]
fn enqueue_that_waits_says_why_and_then_how_far_it_is() {
    let place = Place::new(TASKS);
    let waiting = Terminal::start(place.command(&["enqueue", "steps", "--wait", "--follow"]));
    let screen = waiting.until("reason", |screen| screen.contains("no consumer is running"));
    assert!(screen.starts_with("steps "), "{screen}");
    let _serving = Process::serve(&place);
    let screen = waiting.until("progress", |screen| screen.contains("50%"));
    assert!(bar(&screen).unwrap().ends_with("half of it"), "{screen}");
    place.write("go", "");
    let (screen, status) = waiting.end();
    assert_eq!(status.code(), Some(0));
    assert_eq!(screen, "first line\nlast line\n\"done\"");
}

#[test]
fn serve_says_once_where_it_works_and_tells_what_happens() {
    let place = Place::new(TASKS);
    place.write("go", "");
    let serving = Terminal::start(place.command(&["serve", "--no-scheduler"]));
    serving.until("banner", |screen| screen.contains("TASK"));
    let said = place.fluid(&["enqueue", "steps", "--wait"]);
    assert_eq!(said.code, 0, "{said}");
    serving.until("end of the run", |screen| screen.contains("success"));
    serving.signal(Signal::INT);
    let (screen, status) = serving.end();
    assert_eq!(status.code(), Some(0));
    assert_eq!(screen.matches("fluid.db").count(), 1, "{screen}");
    assert_told!(place, screen);
}

#[test]
fn tables_have_columns_and_colours() {
    let place = Place::new(TASKS);
    let ls = Terminal::start(place.command(&["ls"]));
    ls.until("table", |screen| screen.contains("steps"));
    let raw = ls.raw();
    let (screen, _) = ls.end();
    assert!(raw.contains("\u{1b}["), "{raw:?}");
    assert_told!(place, screen);
    let mut plain = place.command(&["ls"]);
    plain.env("NO_COLOR", "1");
    let plain = Terminal::start(plain);
    plain.until("table", |screen| screen.contains("steps"));
    let raw = plain.raw();
    assert_eq!(plain.end().0, screen);
    assert!(!raw.contains("\u{1b}[3"), "no colour: {raw:?}");
    let nothing = Terminal::start(place.command(&["runs", "list"]));
    assert_eq!(nothing.end().0, "no runs");
}

#[test]
fn who_enqueues_at_a_terminal_is_told_why_the_run_waits() {
    let place = Place::new(TASKS);
    let (screen, status) = Terminal::start(place.command(&["enqueue", "quick"])).end();
    assert_eq!(status.code(), Some(0));
    assert!(
        screen.contains("waiting: no consumer is running"),
        "{screen}"
    );
    let piped = place.fluid(&["enqueue", "quick"]);
    assert_eq!((piped.code, piped.err.as_str()), (0, ""), "{piped}");
}
