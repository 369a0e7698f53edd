//! What is measured here, through the `metrics` facade: it costs next to nothing until a recorder is installed.
//! `docs/metrics.md` lists every name.

mod broker;
mod consumer;
mod task;
mod ticks;

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

pub use broker::MeasuredBroker;
pub(crate) use consumer::Slots;
pub(crate) use task::{Meters, TaskMeters};
pub(crate) use ticks::TickMeters;

pub(crate) const ENQUEUED: &str = "fluid_runs_enqueued_total";
pub(crate) const RETRIED: &str = "fluid_runs_retried_total";
pub(crate) const WAIT: &str = "fluid_run_wait_seconds";
pub(crate) const ATTEMPT: &str = "fluid_attempt_seconds";
pub(crate) const ATTEMPTS: &str = "fluid_attempts_total";
pub(crate) const RECOVERED: &str = "fluid_attempts_recovered_total";
pub(crate) const LEASES_LOST: &str = "fluid_lease_losses_total";
pub(crate) const TICKS: &str = "fluid_ticks_total";
pub(crate) const SLOTS: &str = "fluid_consumer_slots";
pub(crate) const BUSY: &str = "fluid_consumer_slots_busy";
pub(crate) const BACKLOG: &str = "fluid_reporter_backlog";
pub(crate) const BROKER_CALL: &str = "fluid_broker_call_seconds";

/// Tells the recorder of metrics what fluid's names mean. A manager that is built does so; a recorder that is installed
/// later is told by this.
pub fn describe() {
    describe_counter!(ENQUEUED, "Runs that were enqueued.");
    describe_counter!(RETRIED, "Finished runs that were enqueued once more.");
    describe_histogram!(
        WAIT,
        Unit::Seconds,
        "From when an attempt was due until it was claimed."
    );
    describe_histogram!(ATTEMPT, Unit::Seconds, "How long attempts took.");
    describe_counter!(ATTEMPTS, "Attempts whose end was written.");
    describe_counter!(
        RECOVERED,
        "Attempts that began after the one before was lost with its consumer."
    );
    describe_counter!(
        LEASES_LOST,
        "Attempts that this process had to leave because their lease was gone."
    );
    describe_counter!(TICKS, "Ticks of schedules.");
    describe_gauge!(SLOTS, "How many runs this process carries out at once.");
    describe_gauge!(BUSY, "How many runs this process carries out now.");
    describe_gauge!(BACKLOG, "News of attempts that wait to be stored.");
    describe_histogram!(
        BROKER_CALL,
        Unit::Seconds,
        "How long calls of the broker took."
    );
}
