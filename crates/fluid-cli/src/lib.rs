//! The command line of fluid: a library for your own binary, and the stock binary.
