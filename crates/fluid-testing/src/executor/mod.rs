//! The conformance suite for executors: what every [`Executor`] promises, as test cases.
//!
//! An executor of your own runs the whole suite, one `#[test]` for each case:
//!
//! ```
//! use std::sync::Arc;
//!
//! use fluid_core::Executor;
//! use fluid_testing::executor::ExecutorHarness;
//!
//! struct MyHarness;
//!
//! /// Called once for each case.
//! async fn my_harness() -> MyHarness {
//!     MyHarness
//! }
//!
//! impl ExecutorHarness for MyHarness {
//!     fn executor(&self) -> Arc<dyn Executor> {
//!         todo!("an executor that can carry out the tasks of `fluid_testing::executor::tasks`")
//!     }
//! }
//!
//! // What every executor promises:
//! fluid_testing::executor_conformance!(my_harness);
//! // What one that starts programs promises as well:
//! mod programs {
//!     fluid_testing::program_conformance!(super::my_harness);
//! }
//! ```
//!
//! An executor whose tasks run in another process has that process find its task in [`tasks::all`]. The programs
//! are shell scripts. A case that hangs fails after [`CASE_DEADLINE`].

#![expect(clippy::unwrap_used, reason = "a case that finds a fault panics")]

use std::sync::Arc;
use std::time::Duration;

use fluid_core::{Executor, Task};

mod functions;
mod groups;
mod output;
mod programs;
mod secrets;
mod stage;
mod stopping;
mod survival;
pub mod tasks;

/// How long a case may take before it counts as hung. On a cluster a case may start several pods, one after the
/// other, and the node may be busy.
pub const CASE_DEADLINE: Duration = Duration::from_secs(180);

/// What the suite needs of an executor.
pub trait ExecutorHarness: Send + Sync {
    /// The executor.
    fn executor(&self) -> Arc<dyn Executor>;

    /// A task of [`tasks::all`] as the executor is to carry it out.
    fn place(&self, task: Task) -> Task {
        task
    }

    /// How many bytes of parameters the executor must be able to pass on.
    fn largest_params(&self) -> usize {
        4 * 1024 * 1024
    }

    /// How many bytes of a result the executor must be able to pass on.
    fn largest_result(&self) -> usize {
        4 * 1024 * 1024
    }
}

/// The cases for every executor, in the form that `__broker_cases` has.
#[doc(hidden)]
#[macro_export]
macro_rules! __executor_cases {
    ($callback:path, $($input:tt)*) => {
        $callback! { $($input)*
            functions {
                a_result_comes_back,
                an_error_comes_back_with_its_hint,
                a_fatal_error_is_not_to_be_retried,
                an_abort_comes_back_as_one,
                a_panic_is_an_error_that_says_why,
                parameters_arrive_as_they_were_sent,
                a_function_without_parameters_gets_none,
                a_function_knows_its_run,
                a_large_result_comes_back_whole,
                large_parameters_arrive_whole,
                progress_is_told_before_the_outcome,
                the_place_of_execution_is_told_at_most_once,
                executions_of_one_executor_do_not_mix,
                waiting_for_the_outcome_may_be_given_up_and_taken_up_again,
            }
            stopping {
                a_function_that_listens_stops_within_the_grace,
                a_function_that_was_told_to_stop_may_still_succeed,
                a_function_that_never_listens_is_gone_after_the_grace,
                an_error_after_the_wish_to_stop_is_no_failure,
                a_cancellation_after_the_end_changes_nothing,
            }
            secrets {
                a_secret_arrives_at_the_function,
                a_secret_is_in_no_result,
                a_secret_is_in_no_error,
                a_secret_is_in_no_panic,
                a_secret_is_in_no_progress,
            }
        }
    };
}

/// The cases for executors whose executions survive their consumer.
#[doc(hidden)]
#[macro_export]
macro_rules! __survival_cases {
    ($callback:path, $($input:tt)*) => {
        $callback! { $($input)*
            survival {
                an_execution_that_was_let_go_goes_on_and_is_adopted,
                an_adopter_tells_only_the_output_that_was_not_stored,
                starting_twice_at_once_is_one_execution,
                an_execution_that_has_ended_is_adopted_with_its_outcome,
                the_next_attempt_is_another_execution,
            }
        }
    };
}

/// The cases for executors that start programs.
#[doc(hidden)]
#[macro_export]
macro_rules! __program_cases {
    ($callback:path, $($input:tt)*) => {
        $callback! { $($input)*
            programs {
                a_program_that_ends_well_succeeds_without_a_result,
                a_program_writes_its_result_to_a_file,
                a_result_that_is_no_json_is_an_error,
                a_result_does_not_outweigh_an_exit_code,
                an_exit_code_is_told_with_the_last_lines_of_stderr,
                the_signal_that_ended_a_program_is_told,
                a_program_reads_its_parameters_from_standard_input,
                a_program_need_not_read_its_parameters,
                a_program_knows_its_run,
                simple_parameters_are_variables_of_a_program,
                a_program_that_does_not_exist_can_not_be_started,
                a_directory_that_does_not_exist_is_named,
                a_program_starts_in_its_directory,
                a_program_has_the_variables_of_its_task,
            }
            output {
                lines_of_both_streams_arrive_before_the_outcome,
                a_hundred_thousand_lines_arrive_whole_and_in_order,
                a_huge_line_arrives_whole,
                what_is_no_utf8_is_replaced,
                a_progress_line_is_no_output,
                a_secret_is_in_no_output_of_a_program,
                a_reader_that_is_behind_loses_nothing,
            }
            groups {
                a_program_that_stops_when_asked_is_cancelled,
                a_program_that_ignores_the_signal_is_killed_after_the_grace,
                what_a_program_started_is_asked_to_stop_too,
                a_grandchild_that_holds_the_output_does_not_hold_up_the_run,
            }
        }
    };
}

macro_rules! define_cases {
    ([$module:ident] $($topic:ident { $($case:ident,)* })*) => {
        /// Cases, each on a fresh harness. They panic when the executor breaks its promise.
        pub mod $module {
            $($(
                #[doc = concat!("`", stringify!($case), "`, of the topic ", stringify!($topic), ".")]
                pub async fn $case(harness: impl super::ExecutorHarness) {
                    super::$topic::$case(super::stage::Stage::new(&harness)).await;
                }
            )*)*
        }
    };
}

// A case that is missing in its list is dead code, and the compiler says so.
__executor_cases! { define_cases, [cases] }
__program_cases! { define_cases, [program_cases] }
__survival_cases! { define_cases, [survival_cases] }

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

/// One `#[test]` for each case that holds for every executor; see [`executor`](crate::executor). `harness` is
/// the path of an async function without arguments that gives an
/// [`ExecutorHarness`](crate::executor::ExecutorHarness). An attribute before it is every test's, such as
/// `#[ignore = "needs a cluster"]`.
#[macro_export]
macro_rules! executor_conformance {
    ($harness:path) => {
        $crate::executor_conformance! { #[cfg(test)] $harness }
    };
    (#[$attribute:meta] $harness:path) => {
        $crate::__executor_cases! {
            $crate::__executor_tests, [#[$attribute] $harness, cases]
        }
    };
}

/// One `#[test]` for each case that holds for executors whose executions survive their consumer. The arguments are
/// those of [`executor_conformance`](crate::executor_conformance).
#[macro_export]
macro_rules! survival_conformance {
    ($harness:path) => {
        $crate::survival_conformance! { #[cfg(test)] $harness }
    };
    (#[$attribute:meta] $harness:path) => {
        $crate::__survival_cases! {
            $crate::__executor_tests, [#[$attribute] $harness, survival_cases]
        }
    };
}

/// One `#[test]` for each case that holds for executors that start programs; see
/// [`executor`](crate::executor). The arguments are those of
/// [`executor_conformance`](crate::executor_conformance).
#[macro_export]
macro_rules! program_conformance {
    ($harness:path) => {
        $crate::program_conformance! { #[cfg(test)] $harness }
    };
    (#[$attribute:meta] $harness:path) => {
        $crate::__program_cases! {
            $crate::__executor_tests, [#[$attribute] $harness, program_cases]
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __executor_tests {
    ([#[$attribute:meta] $harness:path, $module:ident] $($topic:ident { $($case:ident,)* })*) => {
        $($(
            #[test]
            #[$attribute]
            fn $case() {
                $crate::executor::run_case(stringify!($case), async {
                    $crate::executor::$module::$case($harness().await).await;
                });
            }
        )*)*
    };
}
