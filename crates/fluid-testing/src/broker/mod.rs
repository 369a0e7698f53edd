//! The conformance suite for brokers: what every [`Broker`] promises, as test cases.
//!
//! A broker of your own runs the whole suite, one `#[test]` for each case:
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use async_trait::async_trait;
//! use fluid_core::{Broker, LogCap};
//! use fluid_testing::ManualClock;
//! use fluid_testing::broker::BrokerHarness;
//! use jiff::{SignedDuration, Timestamp};
//!
//! struct MyHarness {
//!     clock: ManualClock,
//!     // The store of this one test: a directory, a database, a key prefix.
//! }
//!
//! /// Called once for each case: a fresh, empty store.
//! async fn my_harness() -> MyHarness {
//!     MyHarness { clock: ManualClock::new() }
//! }
//!
//! #[async_trait]
//! impl BrokerHarness for MyHarness {
//!     async fn open_skewed(&self, offset: SignedDuration) -> Arc<dyn Broker> {
//!         let clock = self.clock.with_offset(offset);
//!         todo!("open a broker on the store, with {clock:?} and a log cap of {:?}", self.log_cap())
//!     }
//!     fn now(&self) -> Timestamp {
//!         fluid_core::Clock::now(&self.clock)
//!     }
//!     fn advance(&self, by: Duration) {
//!         self.clock.advance(by);
//!     }
//! }
//!
//! fluid_testing::broker_conformance!(my_harness);
//! ```
//!
//! Each case opens its own harness, so all of them may run at the same time. A case that hangs fails after
//! [`CASE_DEADLINE`]. Instants are compared as they come, and all of them are whole milliseconds: a broker may
//! keep them at that resolution.

#![expect(clippy::unwrap_used, reason = "a case that finds a fault panics")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fluid_core::{Broker, LogCap};
use jiff::{SignedDuration, Timestamp};

mod lease;
mod order;
mod stage;

/// How long a case may take before it counts as hung.
pub const CASE_DEADLINE: Duration = Duration::from_secs(120);

/// How the suite reaches a broker: one store that belongs to one case, and the clock of all handles on it.
#[async_trait]
pub trait BrokerHarness: Send + Sync {
    /// Another handle on the same store, as another process would have.
    async fn open(&self) -> Arc<dyn Broker> {
        self.open_skewed(SignedDuration::ZERO).await
    }

    /// Another handle on the same store, in a process whose clock is off by `offset`. A broker whose time comes
    /// from its server passes `offset` over.
    async fn open_skewed(&self, offset: SignedDuration) -> Arc<dyn Broker>;

    /// The time on the clock of all handles that are not skewed. It stands still but for
    /// [`advance`](Self::advance), and begins at a whole second.
    fn now(&self) -> Timestamp;

    /// Moves the clock of all handles forward.
    fn advance(&self, by: Duration);

    /// How much of a run's output the opened brokers keep. The suite fills it, so it is small: the 100 lines
    /// and 64 KiB of the default, unless a broker can't be told.
    fn log_cap(&self) -> LogCap {
        LogCap::new(100, 64 * 1024)
    }
}

/// The one list of all cases. It hands `topic { case, … }` to a callback macro, after the callback's own input.
#[doc(hidden)]
#[macro_export]
macro_rules! __broker_cases {
    ($callback:path, $($input:tt)*) => {
        $callback! { $($input)*
            order {
                high_priority_goes_before_medium_and_low,
                equal_priority_goes_by_due_time,
                equal_due_time_goes_by_arrival,
            }
            lease {
                a_lost_lease_cannot_finish_the_run,
            }
        }
    };
}

macro_rules! define_cases {
    ($($topic:ident { $($case:ident,)* })*) => {
        /// The cases, each on a fresh harness. They panic when the broker breaks its promise.
        pub mod cases {
            $($(
                #[doc = concat!("`", stringify!($case), "`, of the topic ", stringify!($topic), ".")]
                pub async fn $case(harness: impl super::BrokerHarness) {
                    super::$topic::$case(&harness).await;
                }
            )*)*

            /// The names of all cases.
            pub const NAMES: &[&str] = &[$($(stringify!($case),)*)*];
        }
    };
}

// A case that is missing in the list is dead code, and the compiler says so.
__broker_cases! { define_cases, }

/// Runs one case to its end or its deadline.
#[doc(hidden)]
pub fn run_case(name: &str, case: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let ended = runtime.block_on(async { tokio::time::timeout(CASE_DEADLINE, case).await });
    assert!(ended.is_ok(), "{name} did not end within {CASE_DEADLINE:?}");
}

/// One `#[test]` for each case of the suite; see [`broker`](crate::broker). `harness` is the path of an async
/// function without arguments that gives a fresh [`BrokerHarness`](crate::broker::BrokerHarness).
#[macro_export]
macro_rules! broker_conformance {
    ($harness:path) => {
        $crate::__broker_cases! { $crate::__broker_tests, [$harness] }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __broker_tests {
    ([$harness:path] $($topic:ident { $($case:ident,)* })*) => {
        $($(
            #[test]
            fn $case() {
                $crate::broker::run_case(stringify!($case), async {
                    $crate::broker::cases::$case($harness().await).await;
                });
            }
        )*)*
    };
}
