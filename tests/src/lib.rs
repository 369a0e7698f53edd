//! Whole-system tests of fluid.
