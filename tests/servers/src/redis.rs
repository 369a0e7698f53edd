//! A Redis of one test program.
