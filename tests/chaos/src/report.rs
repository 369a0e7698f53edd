//! What is printed.

use std::collections::BTreeMap;
use std::time::Duration;

use fluid_proof::{Promise, Verdict};

use crate::plan::Act;

/// How many ways in which one promise was broken are shown.
const SHOWN: usize = 5;

/// What one storm was.
pub(crate) struct Report<'a> {
    pub(crate) broker: &'a str,
    pub(crate) acts: Vec<Act>,
    pub(crate) processes: u32,
    pub(crate) storm: Duration,
    pub(crate) rest: Duration,
    pub(crate) verdict: &'a Verdict,
}

impl Report<'_> {
    /// Prints the table and the verdict.
    pub(crate) fn print(&self) {
        let counts = &self.verdict.counts;
        let row = |name: &str, text: String| println!("  {name:<16}{text}");
        println!("{}:", self.broker);
        row(
            "time",
            format!(
                "{} s of storm, {} s of rest",
                self.storm.as_secs(),
                self.rest.as_secs()
            ),
        );
        row("disturbances", self.disturbances());
        row("processes", self.processes.to_string());
        row(
            "requests",
            format!(
                "{} acknowledged, {} of them duplicates by key or repetition",
                counts.acknowledged, counts.duplicates
            ),
        );
        row(
            "runs",
            format!("{}: {}", counts.total(), list(&counts.runs)),
        );
        row("of ticks", counts.ticks.to_string());
        row("attempts", list(&counts.attempts));
        row(
            "leases lost",
            format!("{} noticed when extended", counts.leases_lost),
        );
        row(
            "writes refused",
            format!(
                "{}, {} of them to processes that had been paused",
                counts.refused, counts.refused_after_pause
            ),
        );
        row("calls failed", list(&counts.failed));
        for promise in Promise::ALL {
            let broken: Vec<_> = self
                .verdict
                .violations
                .iter()
                .filter(|violation| violation.promise == promise)
                .collect();
            let word = if broken.is_empty() {
                "holds".to_owned()
            } else {
                format!("BROKEN {} times", broken.len())
            };
            println!("  {promise:<32}{word}");
            for violation in broken.iter().take(SHOWN) {
                println!("      {}", violation.how);
            }
        }
    }

    fn disturbances(&self) -> String {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for act in &self.acts {
            let word = match act {
                Act::Kill(_) => "kill -9",
                Act::Stop(_) => "stop",
                Act::Hold(_) => "pause",
                Act::Cut(_) | Act::CutAfter(..) => "cut",
                Act::Connect(_, Some(_)) => "bad connection",
                Act::Restart => "server kill -9",
                Act::HoldServer(true) => "server pause",
                Act::Release(_) | Act::Connect(_, None) | Act::HoldServer(false) => continue,
            };
            *counts.entry(word).or_default() += 1;
        }
        list(&counts)
    }
}

fn list<K: AsRef<str>>(counts: &BTreeMap<K, usize>) -> String {
    let parts = counts
        .iter()
        .map(|(name, count)| format!("{} {count}", name.as_ref()));
    let text = parts.collect::<Vec<_>>().join(" · ");
    if text.is_empty() {
        "none".to_owned()
    } else {
        text
    }
}
