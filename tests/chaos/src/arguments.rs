//! What `cargo xtask chaos` is asked for.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use fluid_proof::Sabotage;

use crate::store::Kind;

const SHORT: usize = 1_500;
const LONG: usize = 10_000;

/// Lets consumers and schedulers work on a real broker while they are killed, paused, cut off and their broker is
/// restarted, and proves from the whole history that nothing was lost or done twice.
///
/// `cargo xtask chaos --simulation` does so in virtual time: see its --help.
#[derive(Parser, Debug)]
#[command(name = "cargo xtask chaos", disable_version_flag = true)]
pub(crate) struct Arguments {
    /// On which broker; may be repeated [default: all]
    #[arg(long, value_enum)]
    pub(crate) broker: Vec<Kind>,

    /// Ten thousand runs instead of 1500
    #[arg(long)]
    pub(crate) long: bool,

    /// How many runs to ask for; ticks and children come on top
    #[arg(long, value_name = "N")]
    runs: Option<usize>,

    /// Chooses the disturbances and the work [default: one by the clock, which is printed]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,

    /// Leave the folder with the broker's file, the ledgers and the processes' own words
    #[arg(long)]
    pub(crate) keep: bool,

    /// Break the broker first, to see that it is noticed: fencing, ticks or loss
    #[arg(long)]
    pub(crate) sabotage: Option<Sabotage>,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

impl Arguments {
    /// How many runs to ask for.
    pub(crate) fn runs(&self) -> usize {
        self.runs.unwrap_or(if self.long { LONG } else { SHORT })
    }

    /// The brokers to work on.
    pub(crate) fn brokers(&self) -> &[Kind] {
        if self.broker.is_empty() {
            Kind::value_variants()
        } else {
            &self.broker
        }
    }
}

/// What this program does otherwise.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Works as one of the processes
    #[command(hide = true)]
    Child(Child),
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Carries out runs
    Consumer,
    /// Fires ticks
    Scheduler,
}

/// One of the processes.
#[derive(clap::Args, Debug)]
pub(crate) struct Child {
    /// What it does
    #[arg(long, value_enum)]
    pub(crate) role: Role,
    /// What it is called
    #[arg(long)]
    pub(crate) name: String,
    /// The broker
    #[arg(long)]
    pub(crate) url: String,
    /// Where ledgers are kept
    #[arg(long)]
    pub(crate) folder: PathBuf,
    /// How far its clock is ahead, in milliseconds
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) ahead: i64,
    /// The process that started it
    #[arg(long)]
    pub(crate) parent: i32,
    /// What is broken
    #[arg(long)]
    pub(crate) sabotage: Option<Sabotage>,
}

impl Role {
    /// The word for it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Consumer => "consumer",
            Self::Scheduler => "scheduler",
        }
    }
}
