//! What fluid promises, seen from outside: real processes, real files, kill -9.

mod faults;
mod kill;
mod limits;
mod pipeline;
mod schedulers;
mod secrets;
mod seen;
