//! The `rbc` binary.
fn main() {}
