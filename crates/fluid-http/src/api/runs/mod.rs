//! `/runs`.

pub(super) mod change;
pub(super) mod enqueue;
pub(super) mod follow;
mod idempotency;
pub(super) mod list;
pub(super) mod logs;
pub(super) mod many;
pub(super) mod one;
