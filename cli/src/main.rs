//! Faces people: the `loom` binary.
fn main() {}
