//! Real servers for tests, started by them and ended with them.

pub mod postgres;
pub mod redis;
