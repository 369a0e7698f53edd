//! The versioned API.

mod asked;
mod document;
mod enqueue;
mod listed;
mod logs;
mod many;
mod refused;
mod shown;
