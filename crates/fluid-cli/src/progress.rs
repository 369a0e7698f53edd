//! A progress bar on standard error, for what takes longer than a second.

use std::time::Duration;

use fluid_core::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

/// Work that is done sooner shows no bar.
const AFTER: Duration = Duration::from_secs(1);
const STEPS: u64 = 1000;

/// A bar that stays away from what is no terminal.
#[derive(Debug)]
pub(crate) struct Bar {
    drawn: ProgressBar,
    since: Instant,
    shown: bool,
}

impl Bar {
    /// A bar named after what is going on.
    pub(crate) fn new(what: String, wanted: bool) -> Self {
        let bar = ProgressBar::with_draw_target(Some(STEPS), ProgressDrawTarget::hidden());
        // The template is a constant: it can't be wrong.
        if let Ok(style) = ProgressStyle::with_template(
            "{prefix} {spinner} {bar:30} {percent:>3}% {elapsed} {wide_msg}",
        ) {
            bar.set_style(style);
        }
        bar.set_prefix(what);
        Self {
            drawn: bar,
            since: Instant::now(),
            shown: !wanted,
        }
    }

    /// How far it is. The bar appears a second after it was made.
    pub(crate) fn tell(&mut self, progress: &Progress) {
        self.show_when_late();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 to 1000"
        )]
        self.drawn.set_position((progress.fraction * 1000.0) as u64);
        self.drawn.set_message(progress.message.clone());
    }

    /// Shows the bar once its second is over.
    pub(crate) fn show_when_late(&mut self) {
        if !self.shown && self.since.elapsed() >= AFTER {
            self.shown = true;
            self.drawn.set_draw_target(ProgressDrawTarget::stderr());
            self.drawn.enable_steady_tick(Duration::from_millis(200));
        }
    }

    /// Prints a line above the bar, on standard error.
    pub(crate) fn line(&self, text: &str) {
        self.drawn.suspend(|| anstream::eprintln!("{text}"));
    }

    /// Takes the bar away.
    pub(crate) fn end(&self) {
        self.drawn.finish_and_clear();
    }
}
