//! Figures and the bounds they are held to.

use std::time::Duration;

/// Measured values and what they must not pass.
#[derive(Debug, Default)]
pub(crate) struct Bounds {
    rows: Vec<(String, String, String, bool)>,
}

impl Bounds {
    /// Notes a figure with its bound.
    pub(crate) fn check(&mut self, what: &str, seen: String, bound: &str, holds: bool) {
        println!("  {what}: {seen} (bound: {bound})");
        self.rows
            .push((what.to_owned(), seen, bound.to_owned(), holds));
    }

    /// Prints all of them; whether all hold.
    pub(crate) fn print(&self) -> bool {
        println!("\n{:<58} {:>16}   {:<14}", "figure", "seen", "bound");
        for (what, seen, bound, holds) in &self.rows {
            let verdict = if *holds { "holds" } else { "MISSED" };
            println!("{what:<58} {seen:>16}   {bound:<14} {verdict}");
        }
        self.rows.iter().all(|(.., holds)| *holds)
    }
}

/// The value below which this share of the samples lies.
pub(crate) fn percentile(samples: &mut [Duration], share: f64) -> Duration {
    samples.sort_unstable();
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index into a short list"
    )]
    let index = ((samples.len().saturating_sub(1)) as f64 * share).round() as usize;
    samples.get(index).copied().unwrap_or_default()
}

/// Milliseconds with three digits after the point.
pub(crate) fn millis(duration: Duration) -> String {
    format!("{:.3} ms", duration.as_secs_f64() * 1e3)
}

/// How many per second.
pub(crate) fn rate(count: usize, took: Duration) -> String {
    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    let rate = count as f64 / took.as_secs_f64();
    format!("{rate:.0}/s")
}
