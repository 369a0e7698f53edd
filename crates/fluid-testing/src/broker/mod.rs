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

mod adoption;
mod attempts;
mod batches;
mod cancel;
mod events;
mod lease;
mod limits;
mod list;
mod logs;
mod news;
mod order;
mod payload;
mod presence;
mod races;
mod retry;
mod settings;
mod stage;
mod stats;
mod ticks;
mod transfer;
mod unique;
mod upkeep;

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
                priority_beats_an_earlier_due_time,
                a_run_is_not_claimed_before_it_is_due,
                a_run_due_in_the_past_is_queued_at_once,
                queues_and_tasks_are_merged_into_one_order,
                a_claim_takes_only_the_tasks_it_names,
                a_claim_takes_only_from_its_queues,
                a_claim_brings_at_most_its_limit,
                what_is_named_twice_is_claimed_once,
                an_empty_claim_says_when_the_next_run_is_due,
                an_empty_claim_says_when_nothing_is_to_come,
                an_empty_claim_says_when_a_lease_ends,
            }
            lease {
                a_claimed_run_is_running_with_its_consumer,
                a_claimed_run_is_not_claimed_again,
                a_lost_lease_cannot_finish_the_run,
                a_lost_lease_cannot_be_extended,
                a_lost_lease_cannot_report,
                a_lost_lease_cannot_report_with_its_end,
                a_made_up_token_opens_nothing,
                the_token_of_one_run_does_not_fit_another,
                lost_leases_keep_no_others_of_their_claim_from_their_ends,
                an_extended_lease_does_not_run_out,
                an_extension_counts_from_now_and_for_its_own_length,
                a_lease_that_ran_out_may_be_extended_until_somebody_claims,
                a_lease_that_ran_out_may_finish_until_somebody_claims,
                any_claim_deals_with_the_leases_that_ran_out,
                an_attempt_is_finished_only_once,
                extensions_are_answered_in_their_order,
            }
            attempts {
                a_run_that_never_started_has_no_attempts,
                the_running_attempt_is_in_the_history,
                the_history_tells_how_each_attempt_ended,
                each_attempt_keeps_where_it_ran,
                a_success_keeps_its_result_and_no_error,
                a_failure_keeps_its_error,
                an_abort_is_no_failure,
                a_lost_attempt_is_told_with_its_consumer,
                a_lost_run_goes_back_to_its_old_place,
                too_many_lost_attempts_interrupt_the_run,
                work_that_must_not_start_twice_does_not,
                a_released_attempt_costs_nothing,
                a_released_run_goes_back_to_its_old_place,
            }
            adoption {
                an_attempt_given_back_is_adopted_under_its_number,
                an_attempt_whose_lease_ran_out_is_adopted_under_its_number,
                an_attempt_may_be_adopted_any_number_of_times,
                an_attempt_that_waits_to_be_adopted_is_still_running,
                a_retry_after_an_adoption_is_the_next_attempt,
                the_last_claim_says_whether_an_attempt_survives,
                an_attempt_that_waits_to_be_adopted_keeps_its_place,
                no_limit_holds_an_adoption_up,
                no_switch_holds_an_adoption_up,
                only_a_consumer_of_its_task_and_queue_adopts,
                an_attempt_that_waits_to_be_adopted_is_cancelled_by_its_adopter,
                a_wish_to_cancel_outlives_the_consumer_that_stops,
                a_wish_to_cancel_outlives_the_consumer_that_vanishes,
            }
            retry {
                a_retry_waits_for_its_delay,
                a_retry_without_delay_is_queued_at_once,
                failures_are_counted_to_the_last,
                a_retry_keeps_its_priority,
                an_attempt_that_failed_before_does_not_count_as_lost,
                each_attempt_is_a_start_for_the_rate_limit,
            }
            cancel {
                a_queued_run_is_aborted_at_once,
                a_scheduled_run_is_aborted_at_once,
                a_cancelled_retry_adds_no_attempt,
                a_released_run_that_is_cancelled_adds_no_attempt,
                a_running_attempt_is_told_at_its_renewal,
                a_cancelled_attempt_that_failed_is_not_retried,
                a_cancelled_attempt_that_is_released_is_aborted,
                a_cancelled_attempt_that_is_lost_is_aborted,
                a_cancelled_attempt_may_still_succeed,
                a_finished_run_stays_as_it_ended,
                an_unknown_run_is_not_found,
            }
            unique {
                a_key_is_held_until_its_run_ends,
                a_cancelled_run_gives_its_key_free,
                keys_belong_to_their_task,
                other_keys_and_no_keys_are_no_duplicates,
                the_same_key_twice_in_one_batch_is_one_run,
                a_window_holds_a_key_beyond_the_end_of_its_run,
                a_key_is_held_beyond_its_window_while_its_run_goes_on,
                a_request_sent_again_is_the_same_run,
                a_purged_run_gives_its_key_free,
                a_key_is_held_across_handles,
            }
            limits {
                one_claim_keeps_to_the_limit,
                the_limit_holds_across_consumers_and_handles,
                no_limit_is_no_limit,
                every_end_of_an_attempt_makes_room,
                a_lost_lease_makes_room,
                a_full_task_does_not_hold_up_others,
                each_concurrency_key_has_its_own_limit,
                a_full_concurrency_key_does_not_hold_up_others,
                a_run_beyond_the_rate_waits,
                the_rate_holds_across_consumers_and_handles,
                each_concurrency_key_has_its_own_rate,
                a_rate_does_not_hold_up_other_tasks,
                a_run_beyond_a_strict_rate_is_refused,
                a_refused_retry_keeps_its_failure,
                a_run_that_waits_for_room_uses_no_rate_and_is_not_refused,
            }
            ticks {
                a_tick_inserts_its_run,
                a_tick_fires_once,
                a_tick_fires_once_though_its_run_is_gone,
                the_same_instant_of_two_tasks_is_two_ticks,
                the_latest_tick_is_the_latest_instant,
                the_tick_of_a_disabled_task_counts_as_seen,
                a_tick_whose_run_is_a_duplicate_names_the_other_run,
                ticks_are_answered_in_their_order,
                a_tick_is_remembered_for_a_week,
                the_latest_tick_is_remembered_for_good,
                old_ticks_that_are_made_up_for_fire_once,
                ten_schedulers_on_skewed_clocks_fire_each_tick_once,
                a_fired_run_waits_like_any_other,
            }
            settings {
                a_disabled_task_is_not_claimed,
                a_paused_queue_is_not_claimed_from,
                what_runs_goes_on_while_its_task_is_disabled,
                settings_are_kept_for_every_handle,
                a_switch_may_be_set_twice,
            }
            list {
                runs_are_listed_newest_first,
                an_empty_list_has_no_next_page,
                pages_bring_each_run_once,
                a_page_that_fits_exactly_is_the_last,
                a_filter_is_applied_before_the_page_is_cut,
                pages_stay_right_while_runs_come_and_change,
                each_part_of_a_filter_narrows_the_list,
                a_page_may_begin_before_a_run_that_is_gone,
            }
            stats {
                an_empty_broker_counts_nothing,
                runs_are_counted_by_task_state_and_queue,
                the_run_that_waits_longest_is_known,
                what_ended_in_a_time_is_counted_or_not_told,
            }
            logs {
                lines_come_back_as_they_were_written,
                a_log_is_read_piece_by_piece,
                one_call_writes_to_many_logs,
                an_unknown_run_has_no_log,
                a_log_may_grow_after_the_end,
                a_log_is_cut_at_its_number_of_lines,
                one_batch_is_cut_in_the_middle,
                a_log_is_cut_at_its_number_of_bytes,
                a_line_that_does_not_fit_cuts_the_log,
                each_run_has_its_own_cap,
                a_purged_run_takes_its_log_with_it,
            }
            news {
                a_report_is_stored_with_the_run,
                what_a_report_leaves_out_stays,
                the_last_of_several_reports_stands,
                a_report_with_the_end_is_stored_before_it,
                progress_is_gone_when_the_attempt_ended,
                a_report_does_not_extend_the_lease,
            }
            events {
                the_life_of_a_run_is_told,
                the_end_of_a_run_that_waited_is_told,
                a_retry_is_told,
                what_becomes_claimable_by_a_switch_is_told,
                another_handle_hears_of_new_runs,
                another_handle_hears_of_ends_and_cancellations,
                a_subscriber_hears_nothing_of_before,
                a_subscriber_that_reads_nothing_holds_nothing_up,
            }
            presence {
                a_consumer_is_known_as_it_told_of_itself,
                the_latest_heartbeat_stands,
                a_silent_consumer_is_forgotten,
                a_consumer_that_stopped_is_forgotten_at_once,
            }
            payload {
                a_run_keeps_everything_it_was_enqueued_with,
                a_megabyte_of_parameters_and_result_comes_back_whole,
                parameters_may_be_any_json,
                names_may_be_of_any_script_and_length,
                names_that_differ_in_case_or_form_differ,
                an_error_keeps_all_it_says,
            }
            batches {
                empty_batches_are_answered_with_nothing,
                a_large_batch_is_enqueued_claimed_and_finished_in_order,
                the_ends_of_a_batch_are_answered_in_their_order,
            }
            upkeep {
                only_finished_runs_are_purged,
                the_oldest_runs_are_purged_first,
                a_purge_keeps_what_the_filter_does_not_want,
                a_purged_run_is_counted_no_more,
                a_run_done_once_more_is_a_new_run,
                only_finished_runs_are_done_once_more,
                the_newest_runs_are_done_once_more_first,
                a_filter_chooses_what_is_done_once_more,
                a_run_of_a_disabled_task_may_be_enqueued,
            }
            transfer {
                an_exported_run_is_imported_as_it_was,
                runs_are_exported_piece_by_piece,
                many_runs_that_are_alike_come_back_as_they_were,
                an_attempt_that_ended_just_before_its_run_stays_what_it_was,
                an_import_sent_again_changes_nothing,
                imported_runs_are_claimed_in_their_old_order,
                an_imported_run_holds_its_key,
                an_imported_attempt_is_adopted,
                an_imported_tick_does_not_fire,
                a_running_run_is_not_imported,
                an_imported_run_takes_a_log,
            }
            races {
                parallel_claims_never_bring_a_run_twice,
                a_lost_lease_is_taken_over_by_one,
                a_run_is_cancelled_or_finished_never_both,
                a_run_is_cancelled_or_claimed_never_both,
                an_attempt_is_finished_by_one_of_many,
                a_lease_is_extended_or_lost_never_both,
                parallel_requests_with_one_key_are_one_run,
                parallel_claims_keep_to_the_limit,
                parallel_claims_keep_to_the_rate,
                every_run_ends_once_whatever_becomes_of_its_consumers,
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
                    super::$topic::$case(super::stage::Stage::new(&harness).await).await;
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
