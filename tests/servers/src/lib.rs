//! Real servers for tests, started by them and ended with them.

pub mod cutter;
mod keeper;
pub mod postgres;
pub mod redis;
