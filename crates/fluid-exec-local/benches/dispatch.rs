//! What the executor costs: `/bin/true` as an execution and bare, in turn.
fn main() {}
