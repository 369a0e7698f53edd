//! The default broker of fluid: one SQLite file, no server.
