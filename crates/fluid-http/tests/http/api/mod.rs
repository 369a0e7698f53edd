//! The versioned API.

mod asked;
mod docs;
mod document;
mod enqueue;
mod listed;
mod logs;
mod many;
mod refused;
mod shown;
