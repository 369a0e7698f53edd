//! Real servers for tests, started by them and ended with them.

mod keeper;
pub mod postgres;
pub mod redis;
