//! Redis and Valkey as the broker of fluid.
