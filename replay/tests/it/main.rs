//! What callers of `loom-replay` can see.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod made;
mod redriving;
mod tracing;
mod verifying;
