//! A PostgreSQL of one test program.
