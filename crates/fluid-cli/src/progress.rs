//! A line of progress on standard error, for what takes longer than a second.

use std::time::Duration;

use fluid_core::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::{Instant, sleep_until};

/// Work that is done sooner shows nothing.
const AFTER: Duration = Duration::from_secs(1);
const STEPS: u64 = 1000;

/// How it looks while nobody said how far it is.
const UNKNOWN: &str = "{prefix} {spinner} {elapsed} {wide_msg}";
const KNOWN: &str = "{prefix} {spinner} {bar:30} {percent:>3}% {elapsed} {wide_msg}";

/// Progress that stays away from what is no terminal.
#[derive(Debug)]
pub(crate) struct Bar {
    drawn: ProgressBar,
    due: Instant,
    wanted: bool,
    shown: bool,
    known: bool,
}

impl Bar {
    /// Progress of what is named so.
    pub(crate) fn new(what: String, wanted: bool) -> Self {
        let bar = ProgressBar::with_draw_target(Some(STEPS), ProgressDrawTarget::hidden());
        bar.set_prefix(what);
        let bar = Self {
            drawn: bar,
            due: Instant::now() + AFTER,
            wanted,
            shown: false,
            known: false,
        };
        bar.look(UNKNOWN);
        bar
    }

    fn look(&self, template: &str) {
        // The templates are constants: they can't be wrong.
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.drawn.set_style(style);
        }
    }

    /// How far it is.
    pub(crate) fn tell(&mut self, progress: &Progress) {
        if !self.known {
            self.known = true;
            self.look(KNOWN);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 to 1000"
        )]
        self.drawn.set_position((progress.fraction * 1000.0) as u64);
        self.drawn.set_message(progress.message.clone());
    }

    /// What it does, where nothing is known of how far it is.
    pub(crate) fn say(&self, what: String) {
        if !self.known {
            self.drawn.set_message(what);
        }
    }

    /// Whether it can be seen now.
    pub(crate) fn is_shown(&self) -> bool {
        self.shown
    }

    /// Returns when it is time to [`show`](Self::show) it, and never once that was done. Cancellation safe.
    pub(crate) async fn late(&self) {
        if self.shown || !self.wanted {
            return std::future::pending().await;
        }
        sleep_until(self.due).await;
    }

    /// Shows it if it is time to.
    pub(crate) fn show_when_late(&mut self) {
        if self.wanted && !self.shown && Instant::now() >= self.due {
            self.show();
        }
    }

    /// Shows it from now on.
    pub(crate) fn show(&mut self) {
        self.shown = true;
        self.drawn.set_draw_target(ProgressDrawTarget::stderr());
        self.drawn.enable_steady_tick(Duration::from_millis(200));
    }

    /// Prints a line above it, on standard error.
    pub(crate) fn line(&self, text: &str) {
        self.drawn.suspend(|| anstream::eprintln!("{text}"));
    }

    /// Takes it away.
    pub(crate) fn end(&self) {
        self.drawn.finish_and_clear();
    }
}
