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
        println!("\n{:<82} {:>10}   {:<8}", "figure", "seen", "bound");
        for (what, seen, bound, holds) in &self.rows {
            let verdict = if *holds { "holds" } else { "MISSED" };
            println!("{what:<82} {seen:>10}   {bound:<8} {verdict}");
        }
        self.rows.iter().all(|(.., holds)| *holds)
    }
}

/// The same figure of several rounds, in order of size; there is one at least.
#[derive(Debug)]
pub(crate) struct Spread(Vec<f64>);

impl Spread {
    pub(crate) fn new(mut figures: Vec<f64>) -> Self {
        figures.sort_unstable_by(f64::total_cmp);
        Self(figures)
    }

    /// How many per second.
    pub(crate) fn rates(count: usize, times: &[Duration]) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "counts are small")]
        let rate = |took: &Duration| count as f64 / took.as_secs_f64();
        Self::new(times.iter().map(rate).collect())
    }

    pub(crate) fn median(&self) -> f64 {
        self.0.get(self.0.len() / 2).copied().unwrap_or_default()
    }

    /// The names of the columns.
    pub(crate) fn print_head() {
        println!("  {:<62}{:>10} {:>10} {:>10}", "", "min", "median", "max");
    }

    fn print(&self, name: &str, what: &str, show: impl Fn(f64) -> String) {
        let least = self.0.first().copied().unwrap_or_default();
        let most = self.0.last().copied().unwrap_or_default();
        println!(
            "  {name:<36}{what:<25} {:>10} {:>10} {:>10}",
            show(least),
            show(self.median()),
            show(most)
        );
    }

    pub(crate) fn print_rates(&self, name: &str, what: &str) {
        self.print(name, what, |rate| format!("{rate:.0}/s"));
    }

    pub(crate) fn print_percent(&self, name: &str, what: &str) {
        self.print(name, what, |share| format!("{:.0} %", share * 100.0));
    }
}

/// How many of something there are for each of so many.
pub(crate) fn per(count: u64, of: usize) -> String {
    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    let share = count as f64 / of as f64;
    format!("{share:.3}")
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
