//! What tells states apart: a word, a shape and a colour, so that each alone will do.

use std::fmt;

use askama::filters::HtmlSafe;
use fluid_core::{AttemptOutcome, RunState};

/// The state of a run or of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark(&'static str);

impl From<RunState> for Mark {
    fn from(state: RunState) -> Self {
        Self(state.as_str())
    }
}

impl From<AttemptOutcome> for Mark {
    fn from(outcome: AttemptOutcome) -> Self {
        Self(outcome.as_str())
    }
}

impl Mark {
    /// Something that asks for a look.
    pub(super) const ATTENTION: Self = Self("attention");
    /// Something that is as it should be.
    pub(super) const GOOD: Self = Self("good");

    /// The word, as the API has it, for a class.
    pub(super) fn class(self) -> &'static str {
        self.0
    }

    /// The word, for people.
    pub(super) fn word(self) -> &'static str {
        match self.0 {
            "rate_limited" => "rate limited",
            word => word,
        }
    }

    /// A path in a square of 12.
    fn shape(self) -> &'static str {
        match self.0 {
            "scheduled" => "M6 1a5 5 0 1 1 0 10A5 5 0 0 1 6 1zM6 3.5V6l2 1.5",
            "queued" => "M2 3h8M2 6h8M2 9h8",
            "running" => "M3.5 2v8l6.5-4z",
            "success" | "good" => "M2 6.5 5 9.5 10 3",
            "failure" => "M2.5 2.5l7 7M9.5 2.5l-7 7",
            "aborted" => "M2.5 2.5h7v7h-7z",
            "interrupted" => "M7 1 3 7h3l-1 4 4-6H6z",
            "rate_limited" => "M1.5 9a4.5 4.5 0 1 1 9 0M6 9l2-3",
            "released" => "M9 3 3 6l6 3z",
            _ => "M6 1.5 11 10.5H1zM6 5v2.5M6 9v.2",
        }
    }

    /// The shape alone, for where the word stands beside it anyway.
    pub(super) fn icon(self) -> Icon {
        Icon(self)
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (class, word, icon) = (self.class(), self.word(), self.icon());
        write!(f, r#"<span class="mark {class}">{icon}{word}</span>"#)
    }
}

// All of it is written in this file.
impl HtmlSafe for Mark {}

/// The shape of a [`Mark`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Icon(Mark);

impl fmt::Display for Icon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shape = self.0.shape();
        write!(
            f,
            r#"<svg class="icon" viewBox="0 0 12 12" aria-hidden="true"><path d="{shape}"/></svg>"#
        )
    }
}

// All of it is written in this file.
impl HtmlSafe for Icon {}
