//! Conformance suites for brokers and executors of fluid, and helpers for tests.
