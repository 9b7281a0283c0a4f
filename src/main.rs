//! The `sillage` program.
fn main() {}
