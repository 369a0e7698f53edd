//! Where a run stands, as one number that a single index keeps in order.
//!
//! A run that waits for a consumer stands in a lane of its queue, task and [`Kind`], by priority: the number is
//! `queue << 32 | task << 4 | kind << 2 | priority`, which leaves room for 2³¹ queues and 2²⁸ tasks. Any other
//! run stands under [`STATES`] and the number of its state, where no lane can be since no task has the number 0.
//!
//! Both are of six bytes in SQLite's record format, so that a row keeps its size when its run moves, and is
//! written over in its page. For the same reason a new row has a number in each column that its first claim will
//! fill: 2⁶¹ as a token, 256 as a consumer, and when it was enqueued as the start of its attempt. What they hold counts
//! only once there was one.

use crate::state::Stored;

/// Where the places of states begin.
const STATES: i64 = 1 << 40;

/// What a run waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A consumer, without a concurrency key.
    Plain = 0,
    /// A consumer, with a concurrency key.
    Keyed = 1,
    /// To be adopted.
    Adoptable = 2,
}

/// The places of all priorities for which runs of one task wait in one queue; the place of a priority is `first`
/// and its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lane {
    pub(crate) first: i64,
    pub(crate) last: i64,
}

impl Lane {
    pub(crate) fn new(kind: Kind, task: i64, queue: i64) -> Self {
        let first = (queue << 32) | (task << 4) | ((kind as i64) << 2);
        Self {
            first,
            last: first | 3,
        }
    }

    /// Everything in a state that is no waiting for a consumer.
    pub(crate) fn of_state(state: Stored) -> Self {
        Self {
            first: state_place(state),
            last: state_place(state),
        }
    }
}

/// Where runs in a state stand that is no waiting for a consumer.
pub(crate) fn state_place(state: Stored) -> i64 {
    STATES + state.code()
}
