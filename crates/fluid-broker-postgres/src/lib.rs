//! PostgreSQL as the broker of fluid.
