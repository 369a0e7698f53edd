//! Colours, by meaning. Writers that are no terminal, and `NO_COLOR`, take them out.

use anstyle::{AnsiColor, Style};
use fluid_core::RunState;

pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
pub(crate) const NOTE: Style = AnsiColor::Cyan.on_default();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const STRONG: Style = Style::new().bold();

/// The colour of a state.
pub(crate) fn of_state(state: RunState) -> Style {
    match state {
        RunState::Success => GOOD,
        RunState::Failure => BAD,
        RunState::Running => NOTE,
        RunState::Aborted | RunState::Interrupted | RunState::RateLimited => WARN,
        RunState::Scheduled | RunState::Queued => Style::new(),
    }
}

/// A colour that stays the same for one task, so that the lines of several can be told apart.
pub(crate) fn of_task(name: &str) -> Style {
    const COLOURS: [AnsiColor; 6] = [
        AnsiColor::Cyan,
        AnsiColor::Magenta,
        AnsiColor::Blue,
        AnsiColor::Green,
        AnsiColor::Yellow,
        AnsiColor::BrightCyan,
    ];
    let sum = name.bytes().fold(0_usize, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(usize::from(byte))
    });
    COLOURS[sum % COLOURS.len()].on_default()
}

/// Text in a style.
pub(crate) fn paint(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}
