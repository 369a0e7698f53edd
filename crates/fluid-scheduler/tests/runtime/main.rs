//! What a consumer, a scheduler and a manager promise, seen through the memory broker.

mod consumer;
mod lost;
mod scheduler;
mod stage;
mod surviving;
mod why;
