//! What callers of `loom-replay` can see.

mod made;
mod redriving;
mod tracing;
mod verifying;
